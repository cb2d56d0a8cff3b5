package docs

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPinned: what CI and the image are built by cannot become another thing under the same name.
func TestPinned(t *testing.T) {
	uses := regexp.MustCompile(`(?m)uses: (\S+)(.*)$`)
	pinned := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`)
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	actions := 0
	for _, file := range files {
		name, _ := filepath.Rel(root, file)
		for _, action := range uses.FindAllStringSubmatch(read(t, name), -1) {
			actions++
			if !pinned.MatchString(action[1]) || !strings.HasPrefix(action[2], " # v") {
				t.Errorf("%s: %s needs its commit, and its version beside it", name, action[1])
			}
		}
	}
	from := regexp.MustCompile(`(?m)^(?:FROM|ARG GO_IMAGE=) *(\S+)`)
	images := from.FindAllStringSubmatch(read(t, ".ci/image/Dockerfile"), -1)
	for _, image := range images {
		if !regexp.MustCompile(`@sha256:[0-9a-f]{64}$`).MatchString(image[1]) && image[1] != "scratch" &&
			image[1] != "${GO_IMAGE}" {
			t.Errorf("the Dockerfile: %s needs its digest", image[1])
		}
	}
	if actions < 3 || len(images) < 3 {
		t.Errorf("only %d actions and %d images are found", actions, len(images))
	}
}

// TestNoServersInTheImage: by the tags that the image is built with, the binary has neither the embedded broker and
// store nor what they are made of.
func TestNoServersInTheImage(t *testing.T) {
	tags := regexp.MustCompile(`go build .*-tags (\S+)`).FindStringSubmatch(read(t, ".ci/image/build"))
	if tags == nil {
		t.Fatal("the image is built without tags")
	}
	servers := regexp.MustCompile(`(?m)^\S*(producer/embedded|kfake|miniredis)\S*$`)
	for tags, want := range map[string]bool{"": true, tags[1]: false} {
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", tags, "./cmd/meddela")
		list.Dir = root
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		if found := servers.FindAllString(string(out), -1); (len(found) > 0) != want {
			t.Errorf("with tags %q: %q", tags, found)
		}
	}
}
