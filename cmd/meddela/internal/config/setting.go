package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/wording"
)

// Setting is one field of Config and what is known about it.
type Setting struct {
	Name   string
	Tag    reflect.StructTag
	Source string
	field  reflect.Value
}

// Where a setting's value comes from.
const (
	FromDefault     = "default"
	fromEnvironment = "environment"
	fromFlag        = "flag"
	fromFile        = "file"
)

// SettingsOf lists the settings of a Config in the order of its fields.
func SettingsOf(c *Config) (settings []*Setting) {
	groups := reflect.ValueOf(c).Elem()
	for g := range groups.NumField() {
		group := groups.Field(g)
		for i := range group.NumField() {
			tag := group.Type().Field(i).Tag
			settings = append(settings, &Setting{tag.Get("envconfig"), tag, FromDefault, group.Field(i)})
		}
	}
	return settings
}

// Secret reports whether the value must not be shown.
func (s *Setting) Secret() bool { return s.field.Type() == reflect.TypeFor[Secret]() }

// Value is the setting as a table shows it.
func (s *Setting) Value() string {
	if d, ok := s.field.Interface().(time.Duration); ok {
		return wording.Length(d)
	}
	return fmt.Sprint(s.field.Interface())
}

// kind says in words what the setting is.
func (s *Setting) kind() string {
	switch s.field.Interface().(type) {
	case time.Duration:
		return "a duration such as 90s, 15m or 720h"
	case bool:
		return "true or false"
	case float64:
		return "a number"
	}
	return "a whole number"
}

// Bounds says in words what the setting may be.
func (s *Setting) Bounds() string {
	least, most := s.Tag.Get("min"), s.Tag.Get("max")
	switch {
	case s.Tag.Get("allowed") != "":
		return wording.OrList(strings.Split(s.Tag.Get("allowed"), ","))
	case most != "":
		return "from " + least + " to " + most
	case least != "":
		return "at least " + least
	}
	return ""
}

func (s *Setting) fits() bool {
	least, most := s.bound("min", math.Inf(-1)), s.bound("max", math.Inf(1))
	switch {
	case s.Tag.Get("allowed") != "":
		value := s.field.String()
		return value == "" || slices.Contains(strings.Split(s.Tag.Get("allowed"), ","), value)
	case s.field.CanInt():
		return least <= float64(s.field.Int()) && float64(s.field.Int()) <= most
	case s.field.CanFloat():
		return least <= s.field.Float() && s.field.Float() <= most
	}
	return true
}

// bound is what the tag min or max says; otherwise where it says nothing.
func (s *Setting) bound(tag string, otherwise float64) float64 {
	text := s.Tag.Get(tag)
	if d, err := time.ParseDuration(text); err == nil {
		return float64(d)
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n
	}
	return otherwise
}
