package docs

import (
	"os"
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

// TestReleaseRecipe: a release that is signed as the documentation says is taken by those who check it as it says, and
// one that was changed is not. The image itself is .ci/image/check's; cosign is not everywhere.
func TestReleaseRecipe(t *testing.T) {
	_, recipe, _ := strings.Cut(read(t, "docs/kubernetes.md"), "## A release and its signature")
	recipe, _, _ = strings.Cut(recipe, "\n## ")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(recipe, -1)
	if len(blocks) != 3 {
		t.Fatalf("%d blocks", len(blocks))
	}
	home := t.TempDir()
	run := func(script string) (string, error) {
		build := regexp.MustCompile(`(?m)^\.ci/image/build .* --output (\S+)$`)
		script = build.ReplaceAllString(script, "mkdir $1; for f in digest meddela.tar a.json; do echo $$f > $1/$$f; done")
		script = regexp.MustCompile(`(?m)^cosign .*$`).ReplaceAllString(script, "")
		script = strings.ReplaceAll(script, "-t ed25519", "-t ed25519 -N ''")
		command := exec.CommandContext(t.Context(), "bash", "-euc", script)
		command.Dir, command.Env = home, append(os.Environ(), "HOME="+home)
		out, err := command.CombinedOutput()
		return string(out), err
	}
	sign, check := "mkdir .ssh\n"+blocks[0][1]+blocks[1][1], "cp allowed_signers out; cd out\n"+blocks[2][1]
	if out, err := run(sign); err != nil {
		t.Fatal(out)
	}
	for _, step := range []struct {
		change string
		want   bool
	}{{"", true}, {"echo more >> out/meddela.tar\n", false}, {"sha256sum out/digest > out/SHA256SUMS\n", false}} {
		if out, err := run(step.change + check); (err == nil) != step.want {
			t.Errorf("%q: %s", step.change, out)
		}
	}
}
