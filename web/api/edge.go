package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/limit"
	"github.com/sallyport/sallyport/web/problem"
)

// Problem is a problem document as huma wants errors.
type Problem struct{ apitype.Problem }

func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders implements huma.HeadersError: what may work later says so, as in package problem.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if problem.Later(p.Problem) {
		h.Set("Retry-After", problem.RetryAfter(p.Problem))
	}
	return h
}

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return problem.ContentType }

// huma makes its own errors (a body too large, a field missing) through one variable. They become problem documents
// too, without the value that was sent. And a listing here is never null.
func init() { huma.NewError, huma.DefaultArrayNullable = malformed, false }

func malformed(status int, msg string, errs ...error) huma.StatusError {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	kind := errkind.FromHTTP(status)
	if status >= 400 && status < 500 && kind == errkind.Internal {
		kind = errkind.Usage
	}
	p := &Problem{apitype.Problem{Title: http.StatusText(status), Status: status, Detail: ownWords(msg), Reason: kind.Word(), Hint: hintFor(status)}}
	var words []string
	for _, err := range errs {
		d := apitype.Detail{Message: err.Error()}
		var e *huma.ErrorDetail
		if errors.As(err, &e) {
			d = apitype.Detail{Where: e.Location, Message: inWords(e.Message)}
		}
		p.Errors = append(p.Errors, d)
		words = append(words, mistake(d.Where, d.Message))
	}
	if len(words) > 0 {
		p.Detail = "the request has mistakes: " + strings.Join(words[:min(len(words), 5)], "; ")
	}
	return p
}

// describe is the configuration of huma: one format, strict bodies, no pages of its own.
func describe() huma.Config {
	c := huma.DefaultConfig("Sallyport", "1")
	c.Info.Description = "Sessions, devices, policy and evidence of a Sallyport gateway. Errors are RFC 9457 problem documents."
	c.OpenAPIPath, c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", "", nil
	c.RejectUnknownQueryParameters = true
	c.NoFormatFallback = false
	strict := huma.Format{Marshal: encode, Unmarshal: decode}
	c.Formats = map[string]huma.Format{"application/json": strict, "json": strict}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"cookie": {Type: "apiKey", In: "cookie", Name: "__Host-sallyport"},
		"bearer": {Type: "http", Scheme: "bearer"},
	}
	return c
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// decode reads a body. Names that occur twice or differ only in case are refused: whoever checks the one must not be
// followed by somebody who reads the other. Unknown names are refused by the schema.
func decode(data []byte, v any) error {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return errors.New("is no JSON object")
	}
	return unreadable(wire.LooseJSON(data, v))
}

type askerKey struct{}

// identify asks who calls, before anything of the request is read.
func (a *API) identify(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	w.Header().Set("Cache-Control", "no-store")
	if ctx.Operation().Security == nil {
		next(ctx)
		return
	}
	who, err := a.cfg.Who(r)
	if err == nil {
		err = a.rate(w, who.Key)
	}
	done := func() {}
	if err == nil {
		done, err = a.underWay.begin(r.Context(), who.being())
	}
	if err != nil {
		problem.Write(w, a.cfg.Log, err)
		return
	}
	defer done()
	who.policy = a.cfg.Rules.Snapshot().Policy
	next(huma.WithValue(ctx, askerKey{}, &who))
}

func (a *API) rate(w http.ResponseWriter, key string) error {
	return within(w, a.rates, key, "this sign-in or token asks too often")
}

// within counts a call. Beyond the rate it says in words and in a header when to come back.
func within(w http.ResponseWriter, r *limit.Rates, key, text string) error {
	ok, after := r.Allow(key)
	if ok {
		return nil
	}
	seconds := int(after/time.Second) + 1
	w.Header().Set("Retry-After", fmt.Sprint(seconds))
	return errkind.New(errkind.TooMany, text).WithHint(fmt.Sprintf("Wait %d s.", seconds))
}

// asked lets a person ask so often for what is an entry of the log each time, also when it is refused: the log keeps it for
// ever. It is counted by person and not by sign-in, of which they can have many.
func (a *API) asked(ctx huma.Context, next func(huma.Context)) {
	if who, ok := ctx.Context().Value(askerKey{}).(*Asker); ok {
		_, w := humago.Unwrap(ctx)
		if err := within(w, a.asks, who.being(), "you ask for sessions or tokens more often than this gateway writes them down"); err != nil {
			problem.Write(w, a.cfg.Log, err)
			return
		}
	}
	next(ctx)
}

// signedIn marks an operation as one for those who are known.
var signedIn = []map[string][]string{{"cookie": {}}, {"bearer": {}}}

// handle registers an operation for somebody who is known.
func handle[I, O any](a *API, op huma.Operation, h func(ctx context.Context, who *Asker, in *I) (*O, error)) {
	op.Security = signedIn
	huma.Register(a.huma, complete(op), func(ctx context.Context, in *I) (*O, error) {
		who, ok := ctx.Value(askerKey{}).(*Asker)
		if !ok {
			return nil, a.fail(errors.New("an operation was reached without a caller"))
		}
		out, err := h(ctx, who, in)
		if err != nil {
			return nil, a.fail(err)
		}
		return out, nil
	})
}

func complete(op huma.Operation) huma.Operation {
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = 64 << 10
	}
	op.BodyReadTimeout = 10 * time.Second
	op.Errors = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests}
	return op
}

// fail renders an error, unless it is rendered already.
func (a *API) fail(err error) error {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return &Problem{problem.Of(a.cfg.Log, err)}
}

// answer is a JSON body.
type answer[T any] struct{ Body T }

func body[T any](v T) (*answer[T], error) { return &answer[T]{v}, nil }

// nothing is an operation's answer without a body.
type nothing struct{}

// stream is an answer that is written as it is read. An error before the first byte is a problem document; after it the
// connection is cut, so that half an answer cannot pass for a whole one.
func (a *API) stream(ctx context.Context, contentType, file string, write func(io.Writer) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		out := &lateHeader{w: w, begin: func() {
			w.Header().Set("Content-Type", contentType)
			if file != "" {
				w.Header().Set("Content-Disposition", `attachment; filename="`+file+`"`)
			}
		}}
		err := write(out)
		switch {
		case err == nil && !out.begun:
			out.begin()
			w.WriteHeader(http.StatusOK)
		case err != nil && !out.begun:
			problem.Write(w, a.cfg.Log, err)
		case err != nil:
			a.cfg.Log.Error("an answer was cut off", slog.Any("error", err))
			panic(http.ErrAbortHandler)
		}
	}}
}

type lateHeader struct {
	w     http.ResponseWriter
	begin func()
	begun bool
}

func (l *lateHeader) Write(p []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.begin()
	}
	return l.w.Write(p)
}

func (a *API) unknown(w http.ResponseWriter, r *http.Request) {
	problem.Write(w, a.cfg.Log, errkind.New(errkind.NotFound, "the API has no such address").WithHint("/api/openapi.yaml lists what there is."))
}

// Document gives the description of the API as YAML.
func (a *API) Document() ([]byte, error) { return a.huma.OpenAPI().YAML() }

func (a *API) document(w http.ResponseWriter, _ *http.Request) {
	doc, err := a.Document()
	if err != nil {
		problem.Write(w, a.cfg.Log, err)
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Write(doc)
}
