package preview

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"net/http"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
)

// Server serves the page of a folder, faults and all, and tells open pages of every change.
type Server struct {
	Folder    fs.FS
	Name      string    // of the folder
	Selection Selection // what to show of it
}

// ErrRemote is an address that not only this machine reaches.
var ErrRemote = errors.New("can be reached from other machines, and the page has no login: use 127.0.0.1 or [::1]")

// Listen listens on an address that only this machine reaches: its error may be ErrRemote.
func Listen(addr string) (net.Listener, error) {
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "" {
		addr = net.JoinHostPort("127.0.0.1", port) // ":8080" is a port of this machine alone
	}
	address, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	if !address.IP.IsLoopback() {
		return nil, fmt.Errorf("%s %w", addr, ErrRemote)
	}
	return net.ListenTCP("tcp", address)
}

// Serve serves on the listener, and closes it, until ctx ends, which is no error.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.servePage)
	mux.HandleFunc("GET /changes", s.serveChanges)
	server := &http.Server{
		Handler:           local(mux),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	err := server.Serve(listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// local refuses requests through another name, with which a page from elsewhere could read this one.
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
	page := Page{Name: s.Name, State: stateOf(s.Folder)}
	folder, err := authoring.Check(s.Folder)
	if err == nil {
		page.Faults = folder.Faults
		page.Renderings, err = Render(&folder, s.Selection)
	}
	if err != nil {
		page.Problem = err.Error()
	}
	var html bytes.Buffer
	if err := page.Write(&html); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", page.Policy()+"; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(html.Bytes()) // who has gone away needs no page
}

// watchInterval is how often a folder is looked at, which works on every file system.
const watchInterval = 250 * time.Millisecond

// serveChanges sends the state of the folder, and every new one, as server-sent events.
func (s *Server) serveChanges(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := http.NewResponseController(w)
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for last := ""; ; {
		if state := stateOf(s.Folder); state != last {
			last = state
			if _, err := fmt.Fprintf(w, "data: %s\n\n", state); err != nil || stream.Flush() != nil {
				return
			}
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}

// stateOf is a digest of the names, sizes and times of a folder's files.
func stateOf(folder fs.FS) string {
	sum := fnv.New128a() // which takes everything
	_ = fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = entry.Info()
		}
		switch {
		case err != nil: // what cannot be looked at now may be later
			_, _ = fmt.Fprintf(sum, "%q %v\n", name, err)
		case info.IsDir():
			_, _ = fmt.Fprintf(sum, "%q\n", name)
		default:
			_, _ = fmt.Fprintf(sum, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil))
}
