package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

const (
	authoritiesModule = "golang.org/x/crypto/x509roots/fallback"
	home              = "https://github.com/meddela/meddela"
)

// billOf is the bill of materials of an image, CycloneDX 1.6: what the linker put into the binary, the standard
// library, and the authorities' certificates.
func billOf(o options, b binary, text []byte) []byte {
	info, err := buildinfo.Read(bytes.NewReader(text))
	if err != nil {
		check(fmt.Errorf("%s: %w", b.path, err))
	}
	hash := sha256.Sum256(text)
	main := component(cdx.ComponentTypeApplication, info.Main.Path, o.version)
	main.Scope = ""
	main.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(hash[:])}}
	main.Licenses = &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}}
	settings := []cdx.Property{{Name: "go:version", Value: info.GoVersion}}
	for _, s := range info.Settings {
		settings = append(settings, cdx.Property{Name: "go:build:" + s.Key, Value: s.Value})
	}
	main.Properties = &settings
	parts := components(info)
	all := make([]string, len(parts))
	for i, p := range parts {
		all[i] = p.BOMRef
	}
	bill := cdx.NewBOM()
	// The same image has the same bill: its number is made of the binary's hash.
	bill.SerialNumber = "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, hash[:]).String()
	bill.Metadata = &cdx.Metadata{Timestamp: o.created.Format(time.RFC3339), Component: &main}
	bill.Components = &parts
	bill.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &all}}
	var out bytes.Buffer
	check(cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bill, cdx.SpecVersion1_6))
	return out.Bytes()
}

// components are the modules of a binary, sorted, and what else the image has.
func components(info *debug.BuildInfo) []cdx.Component {
	all := []cdx.Component{component(cdx.ComponentTypeLibrary, "std", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, m := range info.Deps {
		m = cmp.Or(m.Replace, m)
		c := component(cdx.ComponentTypeLibrary, m.Path, m.Version)
		if m.Sum != "" {
			c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.Sum}}
		}
		all = append(all, c)
	}
	version := "unknown"
	if own, ok := debug.ReadBuildInfo(); ok {
		for _, m := range own.Deps {
			if m.Path == authoritiesModule {
				version = m.Version
			}
		}
	}
	authorities := component(cdx.ComponentTypeData, authoritiesModule, version)
	authorities.Description = "authorities' certificates in /etc/ssl/certs/ca-certificates.crt"
	all = append(all, authorities)
	slices.SortFunc(all, func(a, b cdx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	return all
}

func component(kind cdx.ComponentType, path, version string) cdx.Component {
	purl := "pkg:golang/" + path + "@" + version
	return cdx.Component{
		BOMRef: purl, Type: kind, Name: path, Version: version, PackageURL: purl, Scope: cdx.ScopeRequired,
	}
}
