package sandbox

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/meddela/meddela/topology"
)

// Messages returns the messages that are kept, the oldest first.
func (s *Provider) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Message, 0, len(s.ring))
	all = append(all, s.ring[s.next:]...)
	return append(all, s.ring[:s.next]...)
}

// MessagesOf returns the messages about an event that are kept, the oldest
// first.
func (s *Provider) MessagesOf(id topology.EventID) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Message
	for i := range s.ring {
		if m := &s.ring[(s.next+i)%len(s.ring)]; m.EventID == id {
			found = append(found, *m)
		}
	}
	return found
}

// Acceptances counts, of the messages that are kept, how many times each job's
// was accepted. Once is right.
func (s *Provider) Acceptances() map[topology.JobID]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[topology.JobID]int, len(s.ring))
	for i := range s.ring {
		counts[s.ring[i].JobID]++
	}
	return counts
}

// Accepted is how many messages were accepted, kept or not.
func (s *Provider) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// show writes a message where the configuration asks for it.
func (s *Provider) show(m *Message) error {
	if s.config.Dir == "" && s.config.Writer == nil {
		return nil
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if s.config.Writer != nil {
		s.mu.Lock()
		_, err = s.config.Writer.Write(text)
		s.mu.Unlock()
	}
	if err == nil && s.config.Dir != "" {
		err = writeFile(s.config.Dir, string(m.EventID)+"."+string(m.JobID)+".json", text)
	}
	return err
}

// writeFile makes a file appear whole.
func writeFile(dir, name string, text []byte) error {
	file, err := os.CreateTemp(dir, ".writing-*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
