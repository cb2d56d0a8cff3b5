// Package script is for commands that are scripts: nothing in them can go on after an error, so each ends at its first,
// as a test does at Fatal.
package script

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
