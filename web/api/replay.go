package api

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/web/apitype"
)

func (a *API) registerReplay() {
	get := func(name, path, summary string) huma.Operation {
		return huma.Operation{OperationID: name, Method: http.MethodGet, Path: "/api/v1/sessions/{id}/" + path, Tags: []string{"records"}, Summary: summary,
			Description: "One's own sessions, those on one's own devices, or with the duty review. Looking is an event of the log."}
	}
	handle(a, get("get-timeline", "timeline", "What happened when"), a.getTimeline)
	handle(a, get("get-replay-index", "replay/index.json", "Index of the player's segments"), a.getReplayIndex)
	handle(a, get("get-replay-segment", "replay/{segment}", "One segment of the player, N.json"), a.getReplaySegment)
	handle(a, get("get-transcript", "transcript", "Output as plain text, without control characters"), a.getTranscript)
	output := get("get-output", "output", "What one channel wrote, byte for byte")
	output.Description += " Stretches follow each other: microseconds since the session began (64 bits), the stream (8 bits: 1 standard " +
		"output or terminal, 2 standard error), a length (32 bits), all big-endian, and so many bytes."
	handle(a, output, a.getOutput)
	handle(a, get("get-input", "input", "What was typed, as plain text; sealed stretches as [hidden]"), a.getInput)
	handle(a, get("get-cast", "cast", "The terminal as asciicast"), a.getCast)
	verify := get("verify-session", "verify", "Is this record whole?")
	verify.Method = http.MethodPost
	handle(a, verify, a.verifySession)
	export := get("export-session", "export", "Everything an outsider needs to check the record, as one file")
	export.Description = "Needs the duty review; by API token only where the policy says so. Exporting is an event of the log."
	handle(a, export, a.exportSession)
	unseal := get("unseal-session", "unseal", "The record, for somebody who opens what was typed at hidden prompts")
	unseal.Method = http.MethodPost
	unseal.Description = "Needs the duty unseal, of a person who has signed in: no API token has it. What comes is what export gives, still sealed; the officer's key opens it at their place and never comes here. Asking is an event of the log."
	handle(a, unseal, a.unsealSession)
}

// ChannelNumber chooses one channel of a record. It is exported for huma, as SessionID is, which would read a number that
// is too large for a uint32 as another one.
type ChannelNumber struct {
	Channel uint64 `query:"channel" minimum:"1" maximum:"4294967295" doc:"of this channel alone, by the timeline's list; absent: the first, 1"`
}

func (c ChannelNumber) number() uint32 { return uint32(c.Channel) }

// mayReplay says whether somebody may look into a record: their own, one of their devices, or as a reviewer.
func (a *API) mayReplay(ctx context.Context, who *Asker, s store.Session) (bool, error) {
	if who.opened(s) || who.has(authz.DutyReview) {
		return true, nil
	}
	if !who.has(authz.DutyOwn) || s.Site == "" {
		return false, nil
	}
	sites, err := a.cfg.Store.SitesOwnedBy(ctx, who.Person.ID)
	return slices.Contains(sites, s.Site), err
}

// open finds a session whose record the caller may look into, and writes down that they do.
func (a *API) open(ctx context.Context, who *Asker, name, how string) (store.Session, []store.Part, error) {
	s, err := a.find(ctx, who, name)
	if err != nil {
		return s, nil, err
	}
	ok, err := a.mayReplay(ctx, who, s)
	if err != nil {
		return s, nil, err
	}
	if !ok {
		return s, nil, who.needs(authz.DutyReview)
	}
	if err := a.viewed(ctx, who, s.ID, how); err != nil {
		return s, nil, err
	}
	return a.withParts(ctx, s)
}

func (a *API) withParts(ctx context.Context, s store.Session) (store.Session, []store.Part, error) {
	parts, err := a.cfg.Store.Parts(ctx, s.ID)
	switch {
	case err != nil || len(parts) > 0:
	case slices.Contains(running, s.State):
		err = errkind.New(errkind.Unavailable, "this session is being opened, and its recording has not begun").
			WithHint("Try again in a few seconds.")
	default:
		err = errkind.New(errkind.NotFound, "this session has no record: it was not started").WithHint("`sallyport sessions show` says what became of it.")
	}
	inOrder(parts)
	return s, parts, err
}

func inOrder(parts []store.Part) {
	slices.SortFunc(parts, func(x, y store.Part) int { return cmp.Compare(x.Part, y.Part) })
}

// viewAgain is how long one event covers the many requests of one look at a record.
const viewAgain = 5 * time.Minute

// maxViews bounds what is remembered; forgetting costs one more event.
const maxViews = 10_000

type views struct {
	now func() time.Time

	mu   sync.Mutex // guards last
	last map[view1]time.Time
}

// view1 is one sign-in's look at one session in one form.
type view1 struct {
	key     string
	session id.Session
	how     string
}

// fresh reports whether a look was written down lately.
func (v *views) fresh(k view1) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	at, ok := v.last[k]
	return ok && v.now().Sub(at) < viewAgain
}

func (v *views) add(k view1) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.last) >= maxViews || v.last == nil {
		v.last = map[view1]time.Time{}
	}
	v.last[k] = v.now()
}

// viewed writes the event before anything is shown. Requests that belong together make one.
func (a *API) viewed(ctx context.Context, who *Asker, s id.Session, how string) error {
	k := view1{who.Key, s, how}
	if a.views.fresh(k) {
		return nil
	}
	if ok, _ := a.looks.Allow(who.being()); !ok {
		return errkind.New(errkind.TooMany, "you look at records more often than this gateway writes it down").WithHint("Wait a few seconds.")
	}
	if err := a.record(ctx, who, "viewed", s.String(), map[string]string{"how": how}); err != nil {
		return err
	}
	a.views.add(k)
	return nil
}

func (a *API) getTimeline(ctx context.Context, who *Asker, in *SessionID) (*answer[apitype.Timeline], error) {
	s, parts, err := a.open(ctx, who, in.ID, "replay")
	if err != nil {
		return nil, err
	}
	t, err := a.cfg.Records.Timeline(ctx, s, parts)
	if err != nil {
		return nil, err
	}
	t.Input, t.Commands, t.Notes, t.Gaps, t.Idle = list(t.Input), list(t.Commands), list(t.Notes), list(t.Gaps), list(t.Idle)
	return body(t)
}

func (a *API) getReplayIndex(ctx context.Context, who *Asker, in *struct {
	SessionID
	ChannelNumber
	Idle float64 `query:"idle" minimum:"0" maximum:"3600" doc:"seconds that a pause lasts at most; 0: as recorded"`
}) (*huma.StreamResponse, error) {
	s, parts, err := a.open(ctx, who, in.ID, "replay")
	if err != nil {
		return nil, err
	}
	return a.stream(ctx, "application/json", "", func(w io.Writer) error {
		return a.cfg.Records.ReplayIndex(ctx, s, parts, in.number(), seconds(in.Idle), w)
	}), nil
}

func (a *API) getReplaySegment(ctx context.Context, who *Asker, in *struct {
	SessionID
	ChannelNumber
	Segment string  `path:"segment" maxLength:"16" pattern:"^[0-9]+\\.json$"`
	Idle    float64 `query:"idle" minimum:"0" maximum:"3600"`
	Until   uint64  `query:"until" doc:"microseconds, from the index"`
}) (*huma.StreamResponse, error) {
	s, parts, err := a.open(ctx, who, in.ID, "replay")
	if err != nil {
		return nil, err
	}
	n := 0
	for _, c := range in.Segment[:len(in.Segment)-len(".json")] {
		n = min(n*10+int(c-'0'), 1<<30)
	}
	return a.stream(ctx, "application/json", "", func(w io.Writer) error {
		return a.cfg.Records.ReplaySegment(ctx, s, parts, in.number(), n, seconds(in.Idle), in.Until, w)
	}), nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// oneChannel names a session and chooses one of its channels.
type oneChannel struct {
	SessionID
	ChannelNumber
}

func (a *API) getTranscript(ctx context.Context, who *Asker, in *oneChannel) (*huma.StreamResponse, error) {
	s, parts, err := a.open(ctx, who, in.ID, "transcript")
	if err != nil {
		return nil, err
	}
	return a.stream(ctx, "text/plain; charset=utf-8", "", func(w io.Writer) error {
		return a.cfg.Records.Transcript(ctx, s, parts, in.number(), w)
	}), nil
}

func (a *API) getOutput(ctx context.Context, who *Asker, in *oneChannel) (*huma.StreamResponse, error) {
	s, parts, err := a.open(ctx, who, in.ID, "output")
	if err != nil {
		return nil, err
	}
	return a.stream(ctx, "application/octet-stream", "", func(w io.Writer) error {
		return a.cfg.Records.Output(ctx, s, parts, in.number(), w)
	}), nil
}

func (a *API) getInput(ctx context.Context, who *Asker, in *oneChannel) (*huma.StreamResponse, error) {
	s, parts, err := a.open(ctx, who, in.ID, "input")
	if err != nil {
		return nil, err
	}
	return a.stream(ctx, "text/plain; charset=utf-8", "", func(w io.Writer) error {
		return a.cfg.Records.Input(ctx, s, parts, in.number(), w)
	}), nil
}

func (a *API) getCast(ctx context.Context, who *Asker, in *struct {
	SessionID
	ChannelNumber
	Version int `query:"version" minimum:"2" maximum:"3" default:"2"`
}) (*huma.StreamResponse, error) {
	s, parts, err := a.open(ctx, who, in.ID, "cast")
	if err != nil {
		return nil, err
	}
	name := s.ID.String()
	if in.number() > archive.FirstChannel {
		name += fmt.Sprintf("-channel-%d", in.Channel)
	}
	return a.stream(ctx, "application/x-asciicast", name+".cast", func(w io.Writer) error {
		return a.cfg.Records.Cast(ctx, s, parts, in.number(), in.Version, w)
	}), nil
}

func (a *API) verifySession(ctx context.Context, who *Asker, in *SessionID) (*answer[apitype.Verdict], error) {
	done, err := a.verifying.begin(who.Person.ID)
	if err != nil {
		return nil, err
	}
	defer done()
	s, parts, err := a.open(ctx, who, in.ID, "verify")
	if err != nil {
		return nil, err
	}
	v, err := a.cfg.Records.Verify(ctx, s, parts)
	if err != nil {
		return nil, err
	}
	v.Checks = list(v.Checks)
	return body(v)
}

func (a *API) exportSession(ctx context.Context, who *Asker, in *SessionID) (*huma.StreamResponse, error) {
	return a.evidence(ctx, who, in.ID, authz.DutyExport, "exported", map[string]string{"form": "bundle"})
}

func (a *API) unsealSession(ctx context.Context, who *Asker, in *struct {
	SessionID
	Body apitype.Reason
}) (*huma.StreamResponse, error) {
	fields := map[string]string{"form": "bundle"}
	if in.Body.Reason != "" {
		fields["reason"] = in.Body.Reason
	}
	return a.evidence(ctx, who, in.ID, authz.DutyUnseal, "unsealed", fields)
}

// evidence sends a session's bundle to somebody with a duty, once the log says so.
func (a *API) evidence(ctx context.Context, who *Asker, name string, duty authz.Duty, event string, fields map[string]string) (*huma.StreamResponse, error) {
	s, err := a.find(ctx, who, name)
	if err != nil {
		return nil, err
	}
	if err := who.needs(duty); err != nil {
		return nil, err
	}
	s, parts, err := a.withParts(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, who, event, s.ID.String(), fields); err != nil {
		return nil, err
	}
	return a.stream(ctx, "application/octet-stream", s.ID.String()+".slyb", func(w io.Writer) error { return a.cfg.Records.Export(ctx, s, parts, w) }), nil
}
