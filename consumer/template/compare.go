package template

import (
	"cmp"
	"encoding/json"
	"strconv"
)

// number is a value of JSON, or of a template, as a number.
type number struct {
	float float64
	int   int64
	whole bool // int is exact
}

func toNumber(v any) (number, bool) {
	switch v := v.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return wholeNumber(i), true
		}
		f, err := strconv.ParseFloat(string(v), 64)
		return number{float: f}, err == nil
	case int:
		return wholeNumber(int64(v)), true
	case float64:
		return number{float: v}, true
	}
	return number{}, false
}

func wholeNumber(i int64) number { return number{float: float64(i), int: i, whole: true} }

const errUnlike = misuse("compares values of different kinds, such as a text with a number")

// compare orders two numbers or two texts.
func compare(a, b any) (int, error) {
	if x, ok := toNumber(a); ok {
		y, ok := toNumber(b)
		switch {
		case !ok:
			return 0, errUnlike
		case x.whole && y.whole:
			return cmp.Compare(x.int, y.int), nil
		}
		return cmp.Compare(x.float, y.float), nil
	}
	x, ok := a.(string)
	y, okToo := b.(string)
	if !ok || !okToo {
		return 0, errUnlike
	}
	return cmp.Compare(x, y), nil
}

func equal(a, b any) (bool, error) {
	if x, ok := a.(bool); ok {
		y, ok := b.(bool)
		if !ok {
			return false, errUnlike
		}
		return x == y, nil
	}
	order, err := compare(a, b)
	return order == 0, err
}

// eq tells whether the first value equals any of the others.
func eq(first, second any, others ...any) (bool, error) {
	same, err := equal(first, second)
	for _, other := range others {
		if same || err != nil {
			break
		}
		same, err = equal(first, other)
	}
	return same, err
}

func ne(a, b any) (bool, error) {
	same, err := equal(a, b)
	return !same, err
}

func lt(a, b any) (bool, error) {
	order, err := compare(a, b)
	return order < 0, err
}

func le(a, b any) (bool, error) {
	order, err := compare(a, b)
	return order <= 0, err
}

func gt(a, b any) (bool, error) {
	order, err := compare(a, b)
	return order > 0, err
}

func ge(a, b any) (bool, error) {
	order, err := compare(a, b)
	return order >= 0, err
}
