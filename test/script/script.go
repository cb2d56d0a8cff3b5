// Package script is for commands that are scripts: nothing in them can go on after an error, so each ends at its first,
// as a test does at Fatal.
package script

import (
	"fmt"
	"net"
	"os/exec"
)

// failure is an error that ends a script.
type failure struct{ error }

// Check ends the script if there is an error. It is for the script's own goroutine.
func Check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

// Must is Check of a call that returns something.
func Must[T any](value T, err error) T {
	Check(err)
	return value
}

// Run is Check of a command, with what it wrote.
func Run(command *exec.Cmd) {
	if out, err := command.CombinedOutput(); err != nil {
		Check(fmt.Errorf("%v: %w\n%s", command.Args, err, out))
	}
}

// FreeAddr is an address of this machine at which nothing listens.
func FreeAddr() string {
	listener := Must(net.Listen("tcp", "127.0.0.1:0"))
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// Try returns the error that has ended what it does.
func Try(do func()) (err error) {
	defer func() {
		switch reason := recover().(type) {
		case nil:
		case failure:
			err = reason.error
		default:
			panic(reason)
		}
	}()
	do()
	return nil
}
