package config

import (
	"encoding"
	"errors"

	"github.com/spf13/pflag"
)

// ReadSettings fills in c, flags over environment over defaults, and says of each
// setting where its value comes from.
func ReadSettings(c *Config, flags *pflag.FlagSet) ([]Setting, Faults) {
	settings, faults := readEnvironment(c)
	faults = append(faults, readFlags(settings, flags)...)
	if len(faults) == 0 {
		faults = c.check()
	}
	return settings, faults
}

// AddSettingFlags adds a flag for each setting that has one.
func AddSettingFlags(flags *pflag.FlagSet) {
	settings := SettingsOf(new(Config))
	for i := range settings {
		if name := settings[i].Tag.Get("flag"); name != "" {
			flags.String(name, "", settings[i].Tag.Get("desc")+" ("+settings[i].Name+")")
		}
	}
}

// readFlags takes the settings that are given as flags.
func readFlags(settings []Setting, flags *pflag.FlagSet) Faults {
	var faults Faults
	for i := range settings {
		s := &settings[i]
		flag := flags.Lookup(s.Tag.Get("flag"))
		if flag == nil || !flag.Changed {
			continue
		}
		s.Source = fromFlag + " --" + flag.Name
		target, ok := s.field.Addr().Interface().(encoding.TextUnmarshaler)
		err := errors.ErrUnsupported
		if ok {
			err = target.UnmarshalText([]byte(flag.Value.String()))
		}
		if err != nil {
			faults.add("--%s: %v", flag.Name, err)
		}
	}
	return faults
}
