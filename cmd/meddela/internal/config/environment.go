package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/meddela/meddela/cmd/meddela/internal/wording"
)

const (
	EnvironmentPrefix = "MEDDELA_"
	FileSuffix        = "_FILE"
)

// Faults are what is wrong with the configuration, one line each.
type Faults []string

func (f Faults) Error() string { return strings.Join(f, "\n") }

func (f *Faults) add(format string, values ...any) { *f = append(*f, fmt.Sprintf(format, values...)) }

// Setting is one field of Config and what is known about it.
type Setting struct {
	Name   string
	Tag    reflect.StructTag
	field  reflect.Value
	Source string
}

// Where a setting's value comes from.
const (
	FromDefault     = "default"
	fromEnvironment = "environment"
	fromFlag        = "flag"
	fromFile        = "file"
)

// SettingsOf lists the settings of a Config in the order of its fields.
func SettingsOf(c *Config) []Setting {
	var settings []Setting
	groups := reflect.ValueOf(c).Elem()
	for g := range groups.NumField() {
		group := groups.Field(g)
		for i := range group.NumField() {
			tag := group.Type().Field(i).Tag
			settings = append(settings, Setting{
				Name: tag.Get("envconfig"), Tag: tag, field: group.Field(i), Source: FromDefault,
			})
		}
	}
	return settings
}

// Secret reports whether the value must not be shown.
func (s *Setting) Secret() bool {
	_, ok := s.field.Interface().(Secret)
	return ok
}

// Value is the setting as a table shows it.
func (s *Setting) Value() string {
	text := fmt.Sprint(s.field.Interface())
	if _, ok := s.field.Interface().(time.Duration); ok {
		for _, nought := range []string{"m0s", "h0m"} {
			if strings.HasSuffix(text, nought) {
				text = text[:len(text)-2]
			}
		}
	}
	return text
}

// readEnvironment fills in c, and says of each setting where its value comes
// from. It reads on after a fault, so that all of them are told at once.
func readEnvironment(c *Config) ([]Setting, Faults) {
	dropEmpty()
	settings := SettingsOf(c)
	faults := misspelt(settings)
	for i := range settings {
		faults = append(faults, settings[i].read()...)
	}
	return settings, faults
}

// dropEmpty unsets the variables that are set to nothing: charts and compose
// files write them so when they mean that there is no value.
func dropEmpty() {
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if value == "" && strings.HasPrefix(name, EnvironmentPrefix) {
			_ = os.Unsetenv(name)
		}
	}
}

// read takes the setting from its default, its variable, or its file.
func (s *Setting) read() Faults {
	if _, set := os.LookupEnv(s.Name); set {
		s.Source = fromEnvironment
	}
	if path, set := os.LookupEnv(s.Name + FileSuffix); set && s.Secret() {
		return s.readFile(path)
	}
	if err := s.process(); err != nil {
		return Faults{s.impossible(mustBe(s.field.Type()))}
	}
	return s.check()
}

// process has envconfig read this one setting.
func (s *Setting) process() error {
	one := reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: "Value", Type: s.field.Type(), Tag: s.Tag},
	}))
	err := envconfig.Process("", one.Interface())
	s.field.Set(one.Elem().Field(0))
	return err
}

// maxSecretBytes bounds what is read from a secret's file.
const maxSecretBytes = 64 << 10

// readFile takes a secret from a file. One line end at its end is not part of
// the secret.
func (s *Setting) readFile(path string) Faults {
	variable := s.Name + FileSuffix
	if s.Source == fromEnvironment {
		return Faults{fmt.Sprintf("%s and %s are both set: set one of them", s.Name, variable)}
	}
	text, err := readAtMost(path, maxSecretBytes)
	if err != nil {
		return Faults{fmt.Sprintf("%s cannot be read: %v", variable, err)}
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(text) == 0 {
		return Faults{fmt.Sprintf("%s names an empty file: %s", variable, path)}
	}
	s.field.SetString(string(text))
	s.Source = fromFile + " " + path
	return nil
}

func readAtMost(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(text)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return text, err
}

// impossible says that the setting's value cannot be.
func (s *Setting) impossible(must string) string {
	value := Mask
	if !s.Secret() {
		value = strconv.Quote(wording.Abridged(os.Getenv(s.Name)))
	}
	return fmt.Sprintf("%s is %s: it must be %s", s.Name, value, must)
}

func mustBe(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 90s, 15m or 720h"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// check holds the value against its bounds.
func (s *Setting) check() Faults {
	if allowed := s.allowed(); len(allowed) > 0 {
		if value := s.field.String(); value != "" && !slices.Contains(allowed, value) {
			return Faults{s.impossible(s.Bounds())}
		}
	}
	value, bounded := s.number()
	if !bounded {
		return nil
	}
	least, most := s.Tag.Get("min"), s.Tag.Get("max")
	if (least != "" && value < s.bound(least)) || (most != "" && value > s.bound(most)) {
		return Faults{s.impossible(s.Bounds())}
	}
	return nil
}

func (s *Setting) allowed() []string {
	if tag := s.Tag.Get("allowed"); tag != "" {
		return strings.Split(tag, ",")
	}
	return nil
}

// number is the value of a setting that has an order.
func (s *Setting) number() (float64, bool) {
	switch {
	case s.field.CanInt():
		return float64(s.field.Int()), true
	case s.field.CanFloat():
		return s.field.Float(), true
	}
	return 0, false
}

// bound reads a min or max tag.
func (s *Setting) bound(text string) float64 {
	if d, err := time.ParseDuration(text); err == nil && s.field.Type() == reflect.TypeFor[time.Duration]() {
		return float64(d)
	}
	n, _ := strconv.ParseFloat(text, 64)
	return n
}

// Bounds says in words what the setting may be.
func (s *Setting) Bounds() string {
	least, most := s.Tag.Get("min"), s.Tag.Get("max")
	switch {
	case s.Tag.Get("allowed") != "":
		return wording.OrList(s.allowed())
	case least != "" && most != "":
		return "from " + least + " to " + most
	case least != "":
		return "at least " + least
	}
	return ""
}
