package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/problem"
)

//go:embed all:dist
var dist embed.FS

// The documents, and what their policies add to the common one.
const (
	appDocument    = "index.html"
	liveDocument   = "live.html"
	replayDocument = "replay.html"
)

// policies are the Content-Security-Policies of the documents. No inline script anywhere; styles in attributes only where
// xterm writes them; WebAssembly only where the player compiles it.
var policies = map[string]string{
	appDocument:    policy("'self'", "'self'"),
	liveDocument:   policy("'self'", "'self' 'unsafe-inline'"),
	replayDocument: policy("'self' 'wasm-unsafe-eval'", "'self'"),
}

func policy(script, style string) string {
	return "default-src 'none'; script-src " + script + "; style-src " + style + "; img-src 'self'; font-src 'self'; connect-src 'self'; " +
		"manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
}

// files are the app as it was built, in memory: it is under a megabyte.
type files map[string]file

type file struct {
	body, gzip []byte
	kind, etag string
}

func loadFiles(from fs.FS) (files, error) {
	root, err := fs.Sub(from, "dist")
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	out := files{}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		body, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		if plain, ok := strings.CutSuffix(name, ".gz"); ok {
			f := out[plain]
			f.gzip = body
			out[plain] = f
			return nil
		}
		sum := sha256.Sum256(body)
		f := out[name]
		f.body, f.kind, f.etag = body, contentType(name), `"`+hex.EncodeToString(sum[:12])+`"`
		out[name] = f
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	return out, nil
}

// kinds do not depend on the machine's own table of types.
var kinds = map[string]string{".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".json": "application/json", ".wasm": "application/wasm", ".woff2": "font/woff2", ".png": "image/png", ".ico": "image/x-icon",
	".txt": "text/plain; charset=utf-8", ".webmanifest": "application/manifest+json"}

func contentType(name string) string {
	if k, ok := kinds[path.Ext(name)]; ok {
		return k
	}
	if k := mime.TypeByExtension(path.Ext(name)); k != "" {
		return k
	}
	return "application/octet-stream"
}

// refuse answers whoever asks for what no page is.
func refuse(w http.ResponseWriter, status int, detail, hint string) {
	kind := errkind.FromHTTP(status)
	if kind == errkind.Internal {
		kind = errkind.Usage
	}
	problem.Send(w, apitype.Problem{Title: http.StatusText(status), Status: status, Reason: kind.Word(), Detail: detail, Hint: hint})
}

func (fs files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "this address can only be read", "What can be changed stands in /api/openapi.yaml.")
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	f, ok := fs[name]
	if policies[name] != "" {
		ok = false // a document has the addresses of its pages only
	}
	switch {
	case ok && f.body != nil:
		w.Header().Set("Cache-Control", cacheFor(name))
		f.serve(w, r, http.StatusOK)
	case path.Ext(name) != "":
		refuse(w, http.StatusNotFound, "there is no such file", "A page that asks for it is of another version of the gateway: load it again.")
	default:
		document, status := documentFor(name)
		fs.document(w, r, document, status)
	}
}

// appPages are the addresses of the app's own pages, as its router knows them.
var appPages = regexp.MustCompile(`^(signin|sessions|find|machines|machines/[^/]+|requests|requests/[^/]+|proposals/[^/]+)?$`)

// documentFor gives the document of a page's address. At an address that is none the app says so in its own words, and the
// status says it to programs.
func documentFor(page string) (name string, status int) {
	first, rest, _ := strings.Cut(page, "/")
	switch {
	case first == "live" && rest != "":
		return liveDocument, http.StatusOK
	case first == "sessions" && rest != "":
		return replayDocument, http.StatusOK
	case appPages.MatchString(page):
		return appDocument, http.StatusOK
	}
	return appDocument, http.StatusNotFound
}

func (fs files) document(w http.ResponseWriter, r *http.Request, name string, status int) {
	f, ok := fs[name]
	if !ok {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "UI not built: run make web", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Security-Policy", policies[name])
	w.Header().Set("Cache-Control", "no-cache")
	f.serve(w, r, status)
}

// cacheFor lets what carries its hash in its name stay for ever.
func cacheFor(name string) string {
	if strings.HasPrefix(name, "assets/") {
		return "public, max-age=31536000, immutable"
	}
	return "no-cache"
}

func (f file) serve(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	body, etag := f.body, f.etag
	if f.gzip != nil && takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body, etag = f.gzip, strings.TrimSuffix(etag, `"`)+`-gz"`
	}
	h.Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag && status == http.StatusOK {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		w.Write(body)
	}
}

func takesGzip(r *http.Request) bool {
	for _, v := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(v), ";")
		if name == "gzip" && strings.TrimSpace(q) != "q=0" {
			return true
		}
	}
	return false
}
