// Command image makes a container image of the static binary, with no daemon and no registry: an OCI layout in a
// folder, the same as one tar file for `ctr images import`, `podman load` and `docker load`, and a bill of materials.
//
// What goes in decides what comes out, to the bit: names are sorted, every time is SOURCE_DATE_EPOCH, and the
// authorities' certificates are those of a Go module.
//
//	image -version V -output FOLDER linux/amd64=BINARY [linux/arm64=BINARY ...]
package main

import (
	"cmp"
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

// run returns the error that check has ended it with.
func run(arguments []string) (err error) {
	defer func() {
		switch reason := recover().(type) {
		case nil:
		case failure:
			err = reason.error
		default:
			panic(reason)
		}
	}()
	o := parse(arguments)
	if o.root == "" {
		writeImages(o)
		return nil
	}
	if len(o.binaries) != 1 {
		return errors.New("-root is for one platform")
	}
	parts, _ := contents(o, o.binaries[0])
	for _, p := range parts {
		for _, e := range p.entries {
			e.write(filepath.Join(o.root, e.name))
		}
	}
	return nil
}

type failure struct{ error }

// check ends run if there is an error: making an image is one script, and nothing in it can go on after one.
func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

// must is check of a call that returns something.
func must[T any](value T, err error) T {
	check(err)
	return value
}

// options are what an image is made of.
type options struct {
	name     string // without tag
	version  string
	revision string
	licence  string // file
	output   string // folder for the image
	root     string // folder for the image's files instead, for a builder that has layers of its own
	created  time.Time
	binaries []binary
}

// binary is the program, made for a platform.
type binary struct {
	platform v1.Platform
	path     string
}

func parse(arguments []string) (o options) {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&o.name, "name", program, "where the image is to be, without tag")
	flags.StringVar(&o.version, "version", "dev", "its version, and its tag")
	flags.StringVar(&o.revision, "revision", "", "commit that it was made of")
	flags.StringVar(&o.licence, "licence", "", "file with the licence")
	flags.StringVar(&o.output, "output", "", "folder to write the image to; what it has is replaced")
	flags.StringVar(&o.root, "root", "", "folder to write the files of the image to instead, for other builders")
	check(flags.Parse(arguments))
	if (o.output == "") == (o.root == "") {
		check(errors.New("say -output or -root, one of them"))
	}
	for _, each := range flags.Args() {
		platform, path, ok := strings.Cut(each, "=")
		if !ok {
			check(fmt.Errorf("%q is not PLATFORM=BINARY", each))
		}
		o.binaries = append(o.binaries, binary{*must(v1.ParsePlatform(platform)), path})
	}
	if len(o.binaries) == 0 {
		check(errors.New("no PLATFORM=BINARY"))
	}
	seconds, err := strconv.ParseInt(cmp.Or(os.Getenv("SOURCE_DATE_EPOCH"), "0"), 10, 64)
	if err != nil {
		check(fmt.Errorf("SOURCE_DATE_EPOCH: %w", err))
	}
	o.created = time.Unix(seconds, 0).UTC()
	return o
}
