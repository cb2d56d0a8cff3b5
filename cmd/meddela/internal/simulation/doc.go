// Package simulation runs an installation, with its broker, store and providers, in one process on a clock of its
// own, makes it fail by plans that a seed chooses, and checks what must hold whatever happens. It has tests only; see
// docs/guarantees.md.
package simulation
