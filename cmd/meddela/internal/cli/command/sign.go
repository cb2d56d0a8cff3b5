package command

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"unicode"
)

// maxSigned bounds what people write into an order: it comes back in the detail of
// every message that is stopped.
const maxSigned = 200

// Sign is who orders something: the one that --by names, or the user of this system. reason is the
// name of the flag that says why.
func Sign(by, reason, why string) (string, error) {
	if by = cmp.Or(by, systemUser()); by == "" {
		return "", Misusef("who orders this is not known here: say so with --by")
	}
	for _, text := range []string{by, why} {
		if len(text) > maxSigned || strings.ContainsFunc(text, unicode.IsControl) {
			return "", Misusef("--by and --%s must each be one line of at most %d bytes", reason, maxSigned)
		}
	}
	return by, nil
}

// systemUser is who runs this process; empty where the system does not say.
func systemUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return cmp.Or(os.Getenv("USER"), os.Getenv("LOGNAME"))
}

// fewEnough events may be published by a yes.
const fewEnough = 1000

// Confirm wants a yes before so many events are published again, or their number where they are many: by a flag,
// or asked for on a terminal.
func (env *Env) Confirm(n int64, yes bool, count int64) error {
	want, flag := "yes", "--yes"
	if n > fewEnough {
		want, yes, flag = strconv.FormatInt(n, 10), false, "--count "+strconv.FormatInt(n, 10)
	}
	switch {
	case count == n, yes && count == 0:
		return nil
	case count == 0 && IsTerminal(env.In):
		_, _ = fmt.Fprintf(env.ErrOut, "type %s to publish them again: ", want)
		if line, _ := bufio.NewReader(env.In).ReadString('\n'); strings.TrimSpace(line) == want {
			return nil
		}
	}
	return fmt.Errorf("nothing is published: %d events would be; %s confirms that", n, flag)
}
