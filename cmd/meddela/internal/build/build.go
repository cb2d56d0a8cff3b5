// Package build says what this binary was built from.
package build

import (
	"runtime"
	"runtime/debug"
	"sync"
)

// Version is that of this program, which its main says before all else.
var Version = "dev"

// Name tells this build from others, as far as that is known.
var Name = sync.OnceValue(func() string {
	info, _ := debug.ReadBuildInfo()
	b := Of(Version, info)
	name := b.Version
	if b.Commit != "" {
		name += "+" + b.Commit[:min(len(b.Commit), 12)]
	}
	if b.Modified {
		name += ".changed"
	}
	return name
})

// Info is what is known of this binary.
type Info struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Of describes a binary by its version and what the toolchain recorded.
func Of(version string, info *debug.BuildInfo) Info {
	b := Info{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if b.Version == "dev" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b Info) String() string {
	s := "meddela " + b.Version
	if b.Commit != "" {
		s += ", commit " + b.Commit[:min(len(b.Commit), 12)]
		if b.Modified {
			s += " with changes"
		}
	}
	return s + ", " + b.Go + ", " + b.Platform
}
