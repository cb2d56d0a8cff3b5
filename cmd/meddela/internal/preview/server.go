package preview

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
)

// Server serves the page of a folder, anew after every change in the folder.
// Faults are shown on the page.
type Server struct {
	Folder fs.FS
	Name   string // of the folder
	// Selection is what to show of it.
	Selection Selection

	mu   sync.Mutex
	page shown
	next chan struct{} // closed when the page is another
}

// shown is the page as it is now.
type shown struct {
	state string
	html  []byte
}

// RemoteError says that an address is not one that only this machine reaches.
type RemoteError struct{ Addr string }

func (e *RemoteError) Error() string {
	return fmt.Sprintf("%s can be reached from other machines, and the page has no login: use 127.0.0.1 or [::1]", e.Addr)
}

// Listen listens on an address that only this machine reaches. Its error is a
// *RemoteError, or of the net package.
func Listen(addr string) (net.Listener, error) {
	address, err := net.ResolveTCPAddr("tcp", loopbackOf(addr))
	if err != nil {
		return nil, err
	}
	if !address.IP.IsLoopback() {
		return nil, &RemoteError{addr}
	}
	return net.ListenTCP("tcp", address)
}

// loopbackOf takes ":8080" for a port of this machine alone.
func loopbackOf(addr string) string {
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "" {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// Serve serves on the listener until ctx ends, and closes it. Its error is nil
// then.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	state := stateOf(s.Folder)
	s.show(state)
	var watching sync.WaitGroup
	watching.Go(func() { watch(ctx, s.Folder, state, s.show) })
	server := &http.Server{
		Handler:           s.handler(),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
	}
	watching.Go(func() {
		<-ctx.Done()
		_ = server.Close()
	})
	err := server.Serve(listener)
	stop()
	watching.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// show makes the page of the folder as it is.
func (s *Server) show(state string) {
	page := Page{Name: s.Name, state: state}
	if err := s.fill(&page); err != nil {
		page.Problem = err.Error()
	}
	var html bytes.Buffer
	if err := page.Write(&html); err != nil {
		html.Reset()
		html.WriteString("the page could not be made")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page = shown{state, html.Bytes()}
	if s.next != nil {
		close(s.next)
	}
	s.next = make(chan struct{})
}

func (s *Server) fill(page *Page) error {
	folder, err := authoring.Check(s.Folder)
	if err != nil {
		return err
	}
	page.Faults = folder.Faults
	page.Renderings, err = Render(&folder, s.Selection)
	return err
}

// now returns the page, and what is closed when there is another.
func (s *Server) now() (shown, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.page, s.next
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.servePage)
	mux.HandleFunc("GET /changes", s.serveChanges)
	return local(mux)
}

// local refuses requests that name another host than this one: a page from
// elsewhere could otherwise read this one through a name of its own.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "this page is served to this machine only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) servePage(w http.ResponseWriter, _ *http.Request) {
	page, _ := s.now()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy(true)+"; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(page.html) // who has gone away needs no page
}

// serveChanges sends the state of the folder, and again after every change, as
// server-sent events.
func (s *Server) serveChanges(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := http.NewResponseController(w)
	for {
		page, next := s.now()
		if _, err := fmt.Fprintf(w, "data: %s\n\n", page.state); err != nil || stream.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-next:
		}
	}
}
