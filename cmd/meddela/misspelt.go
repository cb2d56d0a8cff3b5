package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
)

// misspelt finds the variables that look like settings and are none.
func misspelt(settings []setting) Faults {
	var known []string
	for i := range settings {
		known = append(known, settings[i].name)
		if settings[i].secret() {
			known = append(known, settings[i].name+fileSuffix)
		}
	}
	var faults Faults
	for _, variable := range slices.Sorted(slices.Values(os.Environ())) {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, environmentPrefix) || slices.Contains(known, name) || isServiceLink(name, value) {
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
	short := strings.TrimPrefix(name, environmentPrefix)
	candidates := make([]string, len(known))
	for i, k := range known {
		candidates[i] = strings.TrimPrefix(k, environmentPrefix)
	}
	if meant, ok := nearest(short, candidates); ok {
		return environmentPrefix + meant, true
	}
	for _, k := range known {
		if strings.HasSuffix(k, "_"+short) {
			return k, true
		}
	}
	return "", false
}

var serviceVariable = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// isServiceLink tells whether a variable is one of those that Kubernetes sets
// in every pod beside a service that is itself called meddela.
func isServiceLink(name, value string) bool {
	return serviceVariable.MatchString(name) || (strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://"))
}

// nearest returns the candidate that word is most likely a misspelling of, if
// one is near enough: about a third of the word may differ.
func nearest(word string, candidates []string) (string, bool) {
	best, least := "", len(word)/3+1
	for _, candidate := range candidates {
		if d := distance(word, candidate); d < least {
			best, least = candidate, d
		}
	}
	return best, best != ""
}

// distance is how many characters must be inserted, deleted, replaced, or
// swapped with their neighbour to make b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := last[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(replaced, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
