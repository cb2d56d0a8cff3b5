package build

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestBuild(t *testing.T) {
	tail := ", " + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH
	info := func(module string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: module}, Settings: settings}
	}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef"}
	for _, test := range []struct {
		version string
		info    *debug.BuildInfo
		want    string
	}{
		{"dev", info(""), "meddela dev"},
		{"dev", info("(devel)"), "meddela dev"},
		{"dev", info("v1.2.3"), "meddela v1.2.3"},
		{"v2.0.0", info("v1.2.3", revision), "meddela v2.0.0, commit 0123456789ab"},
		{"dev", info("", revision, debug.BuildSetting{Key: "vcs.modified", Value: "true"}),
			"meddela dev, commit 0123456789ab with changes"},
	} {
		if got := Of(test.version, test.info).String(); got != test.want+tail {
			t.Errorf("%s: %q, want %q", test.version, got, test.want+tail)
		}
	}
}
