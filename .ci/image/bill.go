package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"sort"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

const (
	authoritiesModule = "golang.org/x/crypto/x509roots/fallback"
	home              = "https://github.com/meddela/meddela"
)

// billOf is the bill of materials of an image, CycloneDX 1.6: what the linker put
// into the binary, the standard library, and the authorities' certificates.
func billOf(o options, b binary, text []byte) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.path, err)
	}
	hash := sha256.Sum256(text)
	main := cdx.Component{
		BOMRef:     purl(info.Main.Path, o.version),
		Type:       cdx.ComponentTypeApplication,
		Name:       info.Main.Path,
		Version:    o.version,
		PackageURL: purl(info.Main.Path, o.version),
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(hash[:])}},
		Licenses:   &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
		Properties: settings(info),
	}
	parts := components(info)
	bill := cdx.NewBOM()
	bill.SpecVersion = cdx.SpecVersion1_6
	// The same image has the same bill: its number is made of the binary's hash.
	bill.SerialNumber = "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, hash[:]).String()
	bill.Metadata = &cdx.Metadata{
		Timestamp: o.created.Format(time.RFC3339),
		Component: &main,
	}
	bill.Components = &parts
	bill.Dependencies = dependencies(main, parts)
	var out bytes.Buffer
	err = cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bill, cdx.SpecVersion1_6)
	return out.Bytes(), err
}

// components are the modules of a binary, sorted, and what else the image has.
func components(info *debug.BuildInfo) []cdx.Component {
	version := strings.TrimPrefix(info.GoVersion, "go")
	all := []cdx.Component{library("std", version, "")}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		all = append(all, library(m.Path, m.Version, m.Sum))
	}
	authorities := library(authoritiesModule, moduleVersion(authoritiesModule), "")
	authorities.Type = cdx.ComponentTypeData
	authorities.Description = "authorities' certificates in /etc/ssl/certs/ca-certificates.crt"
	all = append(all, authorities)
	sort.Slice(all, func(i, j int) bool { return all[i].BOMRef < all[j].BOMRef })
	return all
}

func library(path, version, sum string) cdx.Component {
	c := cdx.Component{
		BOMRef: purl(path, version), Type: cdx.ComponentTypeLibrary, Name: path, Version: version,
		PackageURL: purl(path, version), Scope: cdx.ScopeRequired,
	}
	if sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: sum}}
	}
	return c
}

// moduleVersion is the version of a module that this program is made with.
func moduleVersion(path string) string {
	if own, ok := debug.ReadBuildInfo(); ok {
		for _, m := range own.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "unknown"
}

// settings are what the binary was built with, as it says itself.
func settings(info *debug.BuildInfo) *[]cdx.Property {
	all := []cdx.Property{{Name: "go:version", Value: info.GoVersion}}
	for _, s := range info.Settings {
		all = append(all, cdx.Property{Name: "go:build:" + s.Key, Value: s.Value})
	}
	return &all
}

func dependencies(main cdx.Component, parts []cdx.Component) *[]cdx.Dependency {
	all := make([]string, 0, len(parts))
	for _, p := range parts {
		all = append(all, p.BOMRef)
	}
	return &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &all}}
}

func purl(path, version string) string { return "pkg:golang/" + path + "@" + version }
