package scenario

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/meddela/meddela/topology"
)

// gsm is the alphabet of GSM 03.38, and gsmExtension what an escape is followed by.
const gsm = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿" +
	"abcdefghijklmnopqrstuvwxyzäöñüà"

var gsmExtension = map[byte]rune{
	0x14: '^', 0x28: '{', 0x29: '}', 0x2f: '\\', 0x3c: '[',
	0x3d: '~', 0x3e: ']', 0x40: '|', 0x65: '€',
}

// smscLog is what a message center was asked about a number.
type smscLog struct {
	text   string // of what it accepted, put together
	parts  int    // that it accepted
	coding string
	others []string // its answers to the rest
}

// readSMSC reads test/servers/Smsc.java's file.
func readSMSC(t *testing.T, number string) (l smscLog) {
	t.Helper()
	file, err := os.ReadFile(os.Getenv("MEDDELA_TEST_SMSC"))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[int][]byte{}
	for line := range strings.Lines(string(file)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), " ") // number, answer, whether in parts, coding, bytes
		if f[0] != strings.TrimPrefix(number, "+") {
			continue
		}
		if f[1] != "0" {
			l.others = append(l.others, f[1])
			continue
		}
		text, err := hex.DecodeString(f[4])
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		if f[2] == "true" {
			at, text = int(text[5]), text[6:]
		}
		l.parts, l.coding = l.parts+1, f[3]
		parts[at] = append(parts[at], text...)
	}
	var all []byte
	for at := range 10 {
		all = append(all, parts[at]...)
	}
	var text []rune
	switch l.coding {
	case "8":
		var units []uint16
		for i := 0; i+1 < len(all); i += 2 {
			units = append(units, uint16(all[i])<<8|uint16(all[i+1]))
		}
		text = utf16.Decode(units)
	case "0":
		for i := 0; i < len(all); i++ {
			if all[i] == 0x1b && i+1 < len(all) {
				i++
				text = append(text, gsmExtension[all[i]])
			} else {
				text = append(text, []rune(gsm)[all[i]&0x7f])
			}
		}
	}
	l.text = string(text)
	return l
}

// TestKannel: the provider's file of the documentation, with Kannel and a message center
// that speaks SMPP: texts arrive whole and once, and what became of them comes back.
func TestKannel(t *testing.T) {
	kannel := os.Getenv("MEDDELA_TEST_KANNEL")
	if kannel == "" {
		t.Log("without Kannel: `test/servers/peers up` brings it up")
		return
	}
	onlyReal(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		text, err := os.ReadFile(filepath.Join(root, "docs", "providers", "kannel.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		receive := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
		file := filepath.Join(s.dir, "providers.yaml")
		if err := os.WriteFile(file, []byte(strings.NewReplacer("http://kannel.sms.svc:13013", kannel,
			"meddela-receive:9095", receive).Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
		s.settings = []string{"MEDDELA_PROVIDERS_FILE=" + file, "MEDDELA_SANDBOX_CHANNELS=email,push,webhook",
			"MEDDELA_SUPPRESS_PEPPER=" + aPepper, "MEDDELA_RECEIVE_ADDR=" + receive,
			"KANNEL_PASSWORD=" + os.Getenv("MEDDELA_TEST_KANNEL_PASSWORD"), "KANNEL_RECEIPTS_TOKEN=s3cret"}
		s.startRoles(lane)

		alphabet := strings.NewReplacer("\n", "", "\r", "", "\x1b", "").Replace(gsm) + "€{}[]~|^\\"
		const delivered, failed = "sent//delivered", "delivery_error/bounced/failed"
		rows := map[string]struct {
			digit         int // of the number, by which the message center knows what to do
			code          string
			coding        string
			parts         int
			others, wants string
		}{
			"short":     {1, "Åå €5 {~}", "0", 1, "", delivered},
			"alphabet":  {1, alphabet, "0", 2, "", delivered},
			"emoji":     {1, "å👩🏽‍🚀", "8", 2, "", delivered},
			"long":      {1, strings.Repeat("å👩", 70), "8", 5, "", delivered},
			"away":      {2, "1", "0", 1, "", failed},
			"refused":   {3, "1", "", 0, "11", failed},
			"throttled": {4, "1", "0", 1, "88 88", delivered},
			"full":      {5, "1", "0", 1, "20", delivered},
		}
		numbers, sent, i := map[string]string{}, []record(nil), time.Now().UnixNano()/1000%1_000_000
		for id, row := range rows {
			i++
			numbers[id] = fmt.Sprintf("+35840%06d%d", i%1_000_000, row.digit)
			sent = append(sent, event(id, `{"id":%q,"type":"one_time_code","channel":"sms","mobilePhone":%q,"ctx":{"code":%q}}`,
				id, numbers[id], row.code))
		}
		s.publish(lane, sent...)
		// Kannel keeps the receipts until there is somebody to take them.
		s.eventually(20*time.Second, "a message is accepted", func() error {
			if readSMSC(t, numbers["short"]).parts == 0 {
				return errors.New("none is")
			}
			return nil
		})
		s.start(topology.RoleReceive, "")
		s.eventually(40*time.Second, "what became of them is known", func() error {
			var wrong []error
			for id, row := range rows {
				hash := s.hash(id)
				got := hash[topology.FieldStatus] + "/" + hash[topology.FieldReason] + "/" + hash[topology.FieldDetail]
				if got != row.wants || (hash[topology.FieldProviderMessageID] == "") != (row.parts == 0) {
					wrong = append(wrong, fmt.Errorf("%s: %s, %s", id, got, hash[topology.FieldProviderMessageID]))
				}
			}
			return errors.Join(wrong...)
		})
		for id, row := range rows {
			l := readSMSC(t, numbers[id])
			if l.parts != row.parts || l.coding != row.coding || strings.Join(l.others, " ") != row.others ||
				l.parts > 0 && !strings.HasPrefix(l.text, row.code+" is your Nordlund code.") ||
				l.parts > 0 && !strings.HasSuffix(l.text, "Never give it to anyone.") {
				t.Errorf("%s: %+v", id, l)
			}
		}
	})
}
