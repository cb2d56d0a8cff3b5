package topology

// Fault says what is wrong with a record: the reason, where, and what to do.
type Fault struct {
	Reason Reason
	Field  string // the path in the record; empty for the record itself
	Detail string // what is wrong, without the record's own text
}

func (f *Fault) Error() string {
	if f.Field == "" {
		return f.Detail
	}
	return f.Field + ": " + f.Detail
}
