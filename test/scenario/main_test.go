package scenario

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// binary is the path of the built meddela.
var binary string

// scenariosAtOnce is how many may run side by side: more than there are
// processors, as they mostly wait.
const scenariosAtOnce = "4"

// root is the repository's folder.
const root = "../.."

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", scenariosAtOnce); err != nil {
		os.Exit(fail(err))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "meddela-scenario-")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "meddela")
	build := exec.Command("go", "build", "-o", binary, "./cmd/meddela")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fail(fmt.Errorf("go build: %w\n%s", err, out))
	}
	if err := findRealServers(); err != nil {
		return fail(err)
	}
	if code := m.Run(); code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		return fail(err)
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "scenario:", err)
	return 1
}

// ownEnvironment is this process's environment without settings of meddela.
func ownEnvironment() []string {
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "MEDDELA_") {
			env = append(env, variable)
		}
	}
	return env
}
