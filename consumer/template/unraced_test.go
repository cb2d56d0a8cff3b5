//go:build !race

package template_test

// raced tells that the tests run with the race detector.
const raced = false
