package preview

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write puts a folder's files on disk.
func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func tinyOnDisk(t *testing.T) string {
	t.Helper()
	files := map[string]string{}
	for name, file := range tiny() {
		files[name] = string(file.Data)
	}
	folder := t.TempDir()
	write(t, folder, files)
	return folder
}

// serve serves a folder until the test's end, and returns its address.
func serve(t *testing.T, folder string) (url string) {
	t.Helper()
	listener, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	server := &Server{Folder: os.DirFS(folder), Name: "tiny"}
	go func() { done <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serving ended with %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return "http://" + listener.Addr().String()
}

func get(t *testing.T, ctx context.Context, url, host string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func body(t *testing.T, response *http.Response) string {
	t.Helper()
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReload: after a change in the folder an open page is told, and the next
// one shows it; faults are shown and do not end anything.
func TestReload(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	folder := tinyOnDisk(t)
	url := serve(t, folder)

	changes := get(t, ctx, url+"/changes", "")
	defer func() { _ = changes.Body.Close() }()
	lines := bufio.NewScanner(changes.Body)
	next := func() string {
		for lines.Scan() {
			if state, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return state
			}
		}
		t.Fatalf("no more changes are told: %v", lines.Err())
		return ""
	}
	state := next()
	first := body(t, get(t, ctx, url, ""))
	if !strings.Contains(first, "Dear Kim") || !strings.Contains(first, `data-state="`+state+`"`) {
		t.Fatalf("not the page of state %s:\n%s", state, first)
	}
	for _, step := range []struct{ file, text, says string }{
		{"hello/en/email.txt", "Good morning {{.ctx.name}}\n", "Good morning Kim"},
		{"hello/en/email.txt", "Good morning {{.ctx.name\n", "1 fault in the folder"},
		{"hello/en/email.txt", "Good evening {{.ctx.name}}\n", "Good evening Kim"},
	} {
		write(t, folder, map[string]string{step.file: step.text})
		// A change may be told while the file is being written.
		for html := ""; !strings.Contains(html, step.says); html = body(t, get(t, ctx, url, "")) {
			if now := next(); now == state {
				t.Fatal("the same state is told twice")
			} else {
				state = now
			}
		}
	}
	if html := body(t, get(t, ctx, url, "")); strings.Contains(html, `aria-label="Faults"`) {
		t.Error("a fault is shown that is mended")
	}
}

func TestOnlyThisMachine(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:0"} {
		if listener, err := Listen(addr); !errors.Is(err, ErrRemote) {
			t.Errorf("%s: %v", addr, err)
			if err == nil {
				_ = listener.Close()
			}
		}
	}
	for _, addr := range []string{":0", "localhost:0"} {
		listener, err := Listen(addr)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		_ = listener.Close()
	}
	url := serve(t, tinyOnDisk(t))
	for host, want := range map[string]int{
		"": http.StatusOK, "localhost:99": http.StatusOK, "[::1]:99": http.StatusOK,
		"evil.example": http.StatusForbidden, "10.0.0.1:80": http.StatusForbidden,
	} {
		response := get(t, t.Context(), url, host)
		if body(t, response); response.StatusCode != want {
			t.Errorf("host %q: %d, want %d", host, response.StatusCode, want)
		}
	}
}
