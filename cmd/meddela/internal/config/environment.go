package config

import (
	"cmp"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"
	"github.com/spf13/pflag"

	"github.com/meddela/meddela/cmd/meddela/internal/strictyaml"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology/nearest"
)

const (
	EnvironmentPrefix = "MEDDELA_"
	FileSuffix        = "_FILE"
)

// Faults are what is wrong with the configuration, one line each.
type Faults []string

func (f Faults) Error() string { return strings.Join(f, "\n") }

func (f *Faults) add(format string, values ...any) { *f = append(*f, fmt.Sprintf(format, values...)) }

// AddSettingFlags adds a flag for each setting that has one.
func AddSettingFlags(flags *pflag.FlagSet) {
	for _, s := range SettingsOf(new(Config)) {
		if name := s.Tag.Get("flag"); name != "" {
			flags.String(name, "", s.Tag.Get("desc")+" ("+s.Name+")")
		}
	}
}

// ReadSettings fills in c, flags over environment over defaults, and says of each setting
// where its value comes from. It reads on after a fault, so that all are told at once.
func ReadSettings(c *Config, flags *pflag.FlagSet) ([]*Setting, Faults) {
	dropEmpty()
	settings := SettingsOf(c)
	var faults Faults
	findMisspelt(settings, &faults)
	for _, s := range settings {
		if flag := flags.Lookup(s.Tag.Get("flag")); flag != nil && flag.Changed {
			s.Source = fromFlag + " --" + flag.Name
			_ = s.field.Addr().Interface().(*List).UnmarshalText([]byte(flag.Value.String())) // all flags are lists
		} else {
			s.read(&faults)
		}
	}
	if len(faults) == 0 {
		faults = c.check()
	}
	return settings, faults
}

// dropEmpty unsets the variables that are set to nothing: charts and compose files write
// them so when they mean that there is no value.
func dropEmpty() {
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if value == "" && strings.HasPrefix(name, EnvironmentPrefix) {
			_ = os.Unsetenv(name)
		}
	}
}

// findMisspelt finds the variables that look like settings and are none.
func findMisspelt(settings []*Setting, faults *Faults) {
	var known []string // without the prefix
	for _, s := range settings {
		name := strings.TrimPrefix(s.Name, EnvironmentPrefix)
		known = append(known, name)
		if s.Secret() {
			known = append(known, name+FileSuffix)
		}
	}
	for _, variable := range slices.Sorted(slices.Values(os.Environ())) {
		variable, value, _ := strings.Cut(variable, "=")
		name, ours := strings.CutPrefix(variable, EnvironmentPrefix)
		if !ours || slices.Contains(known, name) || isServiceLink(name, value) {
			continue
		}
		inGroup := slices.IndexFunc(known, func(k string) bool { return strings.HasSuffix(k, "_"+name) })
		meant := nearest.Word(name, known)
		if inGroup >= 0 {
			meant = cmp.Or(meant, known[inGroup]) // whose group was left out
		}
		if meant != "" {
			faults.add("%s is not a setting: did you mean %s%s?", variable, EnvironmentPrefix, meant)
		} else {
			faults.add("%s is not a setting: unset it; `meddela config` lists all settings", variable)
		}
	}
}

var serviceVariable = regexp.MustCompile(
	`(^|_)(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// isServiceLink reports whether a variable is one of those that Kubernetes sets in every
// pod beside a service that is itself called meddela.
func isServiceLink(name, value string) bool {
	return serviceVariable.MatchString(name) || (strings.HasSuffix("_"+name, "_PORT") && strings.Contains(value, "://"))
}

// read takes the setting from its default, its variable, or its file.
func (s *Setting) read(faults *Faults) {
	if _, set := os.LookupEnv(s.Name); set {
		s.Source = fromEnvironment
	}
	if path, set := os.LookupEnv(s.Name + FileSuffix); set && s.Secret() {
		s.readFile(path, faults)
		return
	}
	one := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "Value", Type: s.field.Type(), Tag: s.Tag}}))
	err := envconfig.Process("", one.Interface())
	s.field.Set(one.Elem().Field(0))
	value := fmt.Sprintf("%q", wording.Abridged(os.Getenv(s.Name)))
	if err != nil {
		faults.add("%s is %s: it must be %s", s.Name, value, s.kind())
	} else if !s.fits() {
		faults.add("%s is %s: it must be %s", s.Name, value, s.Bounds())
	}
}

func (s *Setting) readFile(path string, faults *Faults) {
	text, err := secretIn(path)
	switch variable := s.Name + FileSuffix; {
	case s.Source == fromEnvironment:
		faults.add("%s and %s are both set: set one of them", s.Name, variable)
	case err != nil:
		faults.add("%s names %s: %v", variable, path, err)
	default:
		s.field.SetString(text())
		s.Source = fromFile + " " + path
	}
}

// secretIn is what a secret's file has at the moment. One line end at its end is not part of it.
func secretIn(path string) (func() string, error) {
	text, err := strictyaml.SecretIn(path)
	return func() string { return strings.TrimSuffix(strings.TrimSuffix(text(), "\n"), "\r") }, err
}

// Current is the secret of a setting as it is at the moment, where it is in a file.
func (s Secret) Current(name string) func() string {
	if path := os.Getenv(name + FileSuffix); path != "" {
		if current, err := secretIn(path); err == nil {
			return current
		}
	}
	return s.Reveal
}
