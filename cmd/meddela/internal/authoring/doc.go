// Package authoring reads templates from the folders that their authors keep
// in git, checks them, and publishes them.
//
// All faults are found at once, each with its file and line and with what to do
// about it. Nothing is published that could not be rendered.
package authoring
