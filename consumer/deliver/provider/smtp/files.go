package smtp

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/template"
)

// Attachments says where the files that templates attach may come from.
type Attachments struct {
	// Hosts that files are fetched from, by https, and no others: an event may have a part in a file's URL.
	Hosts []string
	// MaxBytes of a message's files together. Default 10 MiB.
	MaxBytes int
	// AllowPrivate lets the hosts have addresses that are not public, and be asked without encryption: for tests.
	AllowPrivate bool
}

// mostFiles is how many bytes of attachments all providers of a process have in hand at once, each of which takes
// several while a message is made of it; one message always may have its own.
const mostFiles = 20 << 20

var room = semaphore.NewWeighted(mostFiles)

// waitShare is the part of a try's time that a message may wait for room, as it may for a limit: the rest is for the
// files, and for the server.
const waitShare = 4

// file is one that was fetched.
type file struct {
	name, kind string
	content    []byte
}

// fetch fetches the files of a message, or says why there is none to be sent.
// The detail has no URL, which may have something of the event.
func (s *Provider) fetch(ctx context.Context, wanted []template.Attachment) ([]file, *provider.Response) {
	if len(wanted) > 0 && len(s.config.Attachments.Hosts) == 0 {
		return nil, rejected("the template has attachments, and this provider names no hosts for them")
	}
	files, left := make([]file, 0, len(wanted)), s.config.Attachments.MaxBytes
	for i := range wanted {
		got, failed := s.fetchOne(ctx, &wanted[i])
		if failed != nil {
			return nil, failed
		}
		if left -= len(got.content); left < 0 {
			return nil, rejected("the attachments are larger than is allowed")
		}
		files = append(files, got)
	}
	return files, nil
}

func rejected(detail string) *provider.Response {
	return &provider.Response{Verdict: provider.Rejected, Detail: detail}
}

func (s *Provider) fetchOne(ctx context.Context, a *template.Attachment) (file, *provider.Response) {
	allowed := &s.config.Attachments
	u, err := outbound.ParseURL(a.URL)
	if err != nil || !allowed.AllowPrivate && (u.Scheme != "https" || u.Port() != "" && u.Port() != "443") {
		return file{}, rejected("an attachment's link is no https URL, or of another port than 443")
	}
	if !slices.ContainsFunc(allowed.Hosts, func(h string) bool { return strings.EqualFold(h, u.Hostname()) }) {
		return file{}, rejected("an attachment's host is none of those that are allowed")
	}
	response, err := s.files.Do(ctx, &outbound.Request{Method: http.MethodGet, URL: u})
	failed, _ := errors.AsType[*outbound.Error](err)
	switch {
	case err != nil && failed.Kind == outbound.Blocked:
		return file{}, rejected("an attachment's host has an address that is not public")
	case err != nil, response.Status/100 == 5,
		response.Status == http.StatusTooManyRequests, response.Status == http.StatusRequestTimeout:
		return file{}, &provider.Response{
			Verdict: provider.Failed, Detail: "an attachment cannot be fetched now",
			RetryAfter: outbound.RetryAfter(response.Header, time.Now()), OfMessage: true,
		}
	case response.Status != http.StatusOK:
		return file{}, rejected("an attachment is not there")
	case response.Fault != "":
		return file{}, rejected("the attachments are larger than is allowed")
	}
	return file{name: a.Name, kind: kindOf(response.Header), content: response.Body}, nil
}

// kindOf is the media type of a response, unless it is one that has parts of its
// own, which would be read as the message's.
func kindOf(header http.Header) string {
	kind, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || !strings.Contains(kind, "/") ||
		strings.HasPrefix(kind, "multipart/") || strings.HasPrefix(kind, "message/") {
		return "application/octet-stream"
	}
	if charset := parameters["charset"]; charset != "" {
		return mime.FormatMediaType(kind, map[string]string{"charset": charset})
	}
	return kind
}
