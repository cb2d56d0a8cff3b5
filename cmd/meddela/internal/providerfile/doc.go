// Package providerfile reads the file that says which providers each channel has,
// and makes them.
package providerfile
