// Command image makes a container image of the static binary, with no daemon and
// no registry: an OCI layout in a folder, the same as one tar file for
// `ctr images import`, `podman load` and `docker load`, and a bill of materials.
//
// What goes in decides what comes out, to the bit: names are sorted, every time is
// SOURCE_DATE_EPOCH, and the authorities' certificates are those of a Go module.
//
//	image -version V -output FOLDER linux/amd64=BINARY [linux/arm64=BINARY ...]
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	o, err := parse(arguments)
	if err != nil {
		return err
	}
	if o.root != "" {
		return writeRoot(o)
	}
	return writeImages(o)
}

// options are what an image is made of.
type options struct {
	name     string // without tag
	version  string
	revision string
	licence  string // file
	output   string // folder for the image
	root     string // folder for the image's files instead
	created  time.Time
	binaries []binary
}

// binary is the program, made for a platform.
type binary struct {
	platform v1.Platform
	path     string
}

func parse(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&o.name, "name", program, "where the image is to be, without tag")
	flags.StringVar(&o.version, "version", "dev", "its version, and its tag")
	flags.StringVar(&o.revision, "revision", "", "commit that it was made of")
	flags.StringVar(&o.licence, "licence", "", "file with the licence")
	flags.StringVar(&o.output, "output", "", "folder to write the image to; what it has is replaced")
	flags.StringVar(&o.root, "root", "", "folder to write the files of the image to instead, for other builders")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if (o.output == "") == (o.root == "") {
		return o, errors.New("say -output or -root, one of them")
	}
	for _, each := range flags.Args() {
		platform, path, ok := strings.Cut(each, "=")
		if !ok {
			return o, fmt.Errorf("%q is not PLATFORM=BINARY", each)
		}
		parsed, err := v1.ParsePlatform(platform)
		if err != nil {
			return o, err
		}
		o.binaries = append(o.binaries, binary{*parsed, path})
	}
	if len(o.binaries) == 0 {
		return o, errors.New("no PLATFORM=BINARY")
	}
	var err error
	o.created, err = epoch(os.Getenv("SOURCE_DATE_EPOCH"))
	return o, err
}

// epoch is the time that everything in an image has.
func epoch(seconds string) (time.Time, error) {
	if seconds == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(n, 0).UTC(), nil
}

// writeRoot writes the files of an image, for a builder that has layers of its own.
func writeRoot(o options) error {
	if len(o.binaries) != 1 {
		return errors.New("-root is for one platform")
	}
	parts, _, err := contents(o, o.binaries[0])
	if err != nil {
		return err
	}
	for _, p := range parts {
		for _, e := range p.entries {
			if err := e.write(filepath.Join(o.root, e.name)); err != nil {
				return err
			}
		}
	}
	return nil
}
