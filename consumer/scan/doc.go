// Package scan reads ranges of topics outside of any consumer group, for
// operators' commands: what was there when the range was asked for, once, and
// then it ends, however much is written meanwhile.
//
// It reads what is committed only, and moves no group's offsets.
package scan
