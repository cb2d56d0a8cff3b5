package template

// jsonState follows through the text of a JSON part whether a value stands
// within a string or outside of one, which decides how it is escaped.
type jsonState struct {
	inString bool
	escaping bool // the last character was a backslash within a string
}

func (s jsonState) after(text []byte) jsonState {
	for _, c := range text {
		switch {
		case s.escaping:
			s.escaping = false
		case s.inString && c == '\\':
			s.escaping = true
		case c == '"':
			s.inString = !s.inString
		}
	}
	return s
}
