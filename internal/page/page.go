// Package page renders the few pages that must work before the web app can: sign-in, its refusals, and the questions
// around it. They are plain HTML with one style sheet and no script, so their Content-Security-Policy allows nothing
// else, and they work with a keyboard and a password manager.
//
// The look is that of the web app: the same tokens and class names.
//
// They are where a password is typed, so they are what a phisher copies and a clickjacker frames: nothing may frame them, a form
// goes only where Guard names, and nothing that a caller brought along is shown but as text. The built-in provider and the
// gateway's own sign-in use it; it knows neither.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

//go:embed page.css shell.html
var files embed.FS

// Pages are one package's templates inside the common shell.
type Pages struct {
	shell *template.Template
	names map[string]*template.Template
	style string
	site  string
	log   *slog.Logger
}

// Page is one answer.
type Page struct {
	Name   string // of the template, without .html
	Status int    // 0: 200
	Title  string
	Data   any
	// FormTo are addresses that a form's answer may lead to: Chromium applies form-action to redirects as well.
	FormTo []string
}

// shown is what a template sees.
type shown struct {
	Site, Style, Title string
	Data               any
}

// New reads templates (*.html in dir). Style is the path under which Style is served; site the name people know.
func New(dir fs.FS, style, site string, log *slog.Logger) (*Pages, error) {
	shell, err := template.ParseFS(files, "shell.html")
	if err != nil {
		return nil, fmt.Errorf("page shell: %w", err)
	}
	found, err := fs.Glob(dir, "*.html")
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("no pages (%v)", err)
	}
	p := &Pages{shell: shell, names: map[string]*template.Template{}, style: style + "?v=" + version(), site: site, log: log}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	for _, f := range found {
		t, err := template.Must(shell.Clone()).ParseFS(dir, f)
		if err != nil {
			return nil, fmt.Errorf("page %s: %w", f, err)
		}
		p.names[strings.TrimSuffix(f, ".html")] = t
	}
	return p, nil
}

// Write renders a page. A page that fails to render is a fault of ours: the reader gets a line, the log the reason.
func (p *Pages) Write(w http.ResponseWriter, page Page) {
	var b bytes.Buffer
	t, ok := p.names[page.Name]
	if !ok {
		p.log.Error("no such page", slog.String("page", page.Name))
		http.Error(w, "This page could not be shown.", http.StatusInternalServerError)
		return
	}
	if err := t.ExecuteTemplate(&b, "shell.html", shown{p.site, p.style, page.Title, page.Data}); err != nil {
		p.log.Error("page", slog.String("page", page.Name), slog.Any("error", err))
		http.Error(w, "This page could not be shown.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	Guard(h, page.FormTo...)
	if page.Status == 0 {
		page.Status = http.StatusOK
	}
	w.WriteHeader(page.Status)
	w.Write(b.Bytes())
}

// Guard sets what every page here is answered with.
func Guard(h http.Header, formTo ...string) {
	to := "'self'"
	for _, f := range formTo {
		if o := origin(f); o != "" {
			to += " " + o
		}
	}
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action "+to+"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// origin gives what stands in a policy for an address; empty when it may not stand there.
func origin(addr string) string {
	u, err := url.Parse(addr)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.ContainsAny(u.Host, " ;,'\"") {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// Style serves the style sheet.
func Style(w http.ResponseWriter, _ *http.Request) {
	css, _ := files.ReadFile("page.css")
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(css)
}

func version() string {
	css, _ := files.ReadFile("page.css")
	sum := sha256.Sum256(css)
	return hex.EncodeToString(sum[:6])
}

// Sentence makes an error's text one that stands alone.
func Sentence(s string) string {
	if s == "" {
		return s
	}
	r, n := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(r)) + s[n:]
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	return s
}
