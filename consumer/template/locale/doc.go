// Package locale writes dates, numbers and amounts of money as the readers of a
// language write them, and tells which plural form a number takes.
//
// Names, patterns and symbols are those of the Unicode Common Locale Data
// Repository, in the table cldr.txt; plural rules and language tags are those
// of golang.org/x/text. Numbers are decimals throughout, never floats. Dates are
// of the Gregorian calendar in every language.
package locale

//go:generate sh -c "go run ./generate \"$CLDR\" > cldr.txt"
