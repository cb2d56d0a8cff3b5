package config

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/meddela/meddela/cmd/meddela/internal/wording"
)

// misspelt finds the variables that look like settings and are none.
func misspelt(settings []Setting) Faults {
	var known []string
	for i := range settings {
		known = append(known, settings[i].Name)
		if settings[i].Secret() {
			known = append(known, settings[i].Name+FileSuffix)
		}
	}
	var faults Faults
	for _, variable := range slices.Sorted(slices.Values(os.Environ())) {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, EnvironmentPrefix) || slices.Contains(known, name) || isServiceLink(name, value) {
			continue
		}
		if meant, ok := meantSetting(name, known); ok {
			faults.add("%s is not a setting: did you mean %s?", name, meant)
		} else {
			faults.add("%s is not a setting: unset it; `meddela config` lists all settings", name)
		}
	}
	return faults
}

// meantSetting guesses which setting was meant: one spelt nearly so, or one
// whose group was left out.
func meantSetting(name string, known []string) (string, bool) {
	short := strings.TrimPrefix(name, EnvironmentPrefix)
	candidates := make([]string, len(known))
	for i, k := range known {
		candidates[i] = strings.TrimPrefix(k, EnvironmentPrefix)
	}
	if meant := wording.Nearest(short, candidates); meant != "" {
		return EnvironmentPrefix + meant, true
	}
	for _, k := range known {
		if strings.HasSuffix(k, "_"+short) {
			return k, true
		}
	}
	return "", false
}

var serviceVariable = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// isServiceLink reports whether a variable is one of those that Kubernetes sets
// in every pod beside a service that is itself called meddela.
func isServiceLink(name, value string) bool {
	return serviceVariable.MatchString(name) || (strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://"))
}
