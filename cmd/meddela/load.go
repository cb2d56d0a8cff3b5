package main

import (
	"encoding"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// load reads the configuration, flags over environment over defaults, and
// starts the log. Its error has every fault.
func (a *app) load(cmd *cobra.Command) error {
	a.config = Config{}
	settings, faults := readEnvironment(&a.config)
	a.settings = settings
	faults = append(faults, readFlags(settings, cmd.Flags())...)
	if len(faults) == 0 {
		faults = a.config.check()
	}
	if len(faults) > 0 {
		return faults
	}
	a.log = newLogger(a.config.Log, a.errOut)
	return nil
}

// addSettingFlags adds a flag for each setting that has one.
func addSettingFlags(flags *pflag.FlagSet) {
	settings := settingsOf(new(Config))
	for i := range settings {
		if name := settings[i].tag.Get("flag"); name != "" {
			flags.String(name, "", settings[i].tag.Get("desc")+" ("+settings[i].name+")")
		}
	}
}

// readFlags takes the settings that are given as flags.
func readFlags(settings []setting, flags *pflag.FlagSet) Faults {
	var faults Faults
	for i := range settings {
		s := &settings[i]
		flag := flags.Lookup(s.tag.Get("flag"))
		if flag == nil || !flag.Changed {
			continue
		}
		s.source = fromFlag + " --" + flag.Name
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
