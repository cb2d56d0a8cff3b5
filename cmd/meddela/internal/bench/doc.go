// Package bench measures a pipeline on real servers. Every figure stands
// beside the one that it is to be compared with, a bare rival's or a floor's,
// and both are measured in the same run, taking turns.
//
// It works on topics and keys of its own and takes them away afterwards.
package bench
