//go:build !race

package template_test

// raced reports whether the tests run with the race detector.
const raced = false
