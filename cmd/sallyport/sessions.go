package main

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/argv"
	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

type sessionsCmd struct {
	List     sessionsListCmd     `cmd:"" aliases:"ls" help:"List sessions, newest first."`
	Show     sessionsShowCmd     `cmd:"" help:"Show one session."`
	Channels sessionsChannelsCmd `cmd:"" help:"List the channels of a session: what ran on each, and how it ended."`
	End      sessionsEndCmd      `cmd:"" aliases:"kill" help:"End a session now."`
	MoreTime sessionsMoreTimeCmd `cmd:"" name:"more-time" help:"Request more time for your running session."`
	Watch    sessionsWatchCmd    `cmd:"" help:"Show what a channel of a running session shows, as it comes."`
	Replay   sessionsReplayCmd   `cmd:"" help:"Show what happened on one channel of a session."`
	Export   sessionsExportCmd   `cmd:"" help:"Save the evidence of a session, to be checked with sallyport-verify."`
	Verify   sessionsVerifyCmd   `cmd:"" help:"Have the gateway check that a record is whole."`
	Unseal   sessionsUnsealCmd   `cmd:"" help:"Show what was typed at hidden prompts, for unsealing officers."`
}

// oneSession is an argument that names a session.
type oneSession struct {
	Session string `arg:"" help:"A session's id, a unique beginning of it, or \"last\": the newest, for a record the newest that has one."`
}

func (s oneSession) path(rest string) string {
	return "/api/v1/sessions/" + url.PathEscape(s.Session) + rest
}

// recorded lets "last" mean the newest session that has a recording. A refused session has none, or an empty one. It
// prints the id to stderr, because there may be a newer session without a recording.
func (s *oneSession) recorded(a *app, cl *client.Client) error {
	if s.Session != "last" {
		return nil
	}
	var page apitype.SessionPage
	q := url.Values{"state": {"running,ended,closed"}, "recorded": {"true"}, "size": {"1"}}
	if err := cl.Get(a.context(), "/api/v1/sessions", q, &page); err != nil {
		return err
	}
	if len(page.Sessions) == 0 {
		return errkind.New(errkind.NotFound, "no session that you may see has a recording").
			WithHint("`sallyport sessions list` shows all sessions that you may see. " +
				"`sallyport sessions show ID` says why one was refused.")
	}
	found := page.Sessions[0]
	s.Session = found.ID.String()
	fmt.Fprintf(a.stderr, "sallyport: last is session %s on %s\n", found.ID, cell(string(found.Device)))
	return nil
}

type sessionsShowCmd struct {
	oneSession
	JSON bool `name:"json" help:"Print JSON, for programs."`
}

func (c *sessionsShowCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var s apitype.SessionDetail
	if err := cl.Get(a.context(), c.path(""), nil, &s); err != nil {
		return err
	}
	if c.JSON {
		return a.json(s)
	}
	return page(a.stdout, append(differing(s), []field{
		{"session", s.ID.String()}, {"device", string(s.Device)}, {"site", s.Site}, {"user", s.User}, {"login", s.Login}, {"action", s.Action},
		{"command", argv.Line(s.Argv)}, {"purpose", s.Purpose}, {"ticket", s.Ticket}, {"state", s.State}, {"reason", s.Reason}, {"asked", at(&s.Asked)},
		{"started", at(s.Started)}, {"ended", at(s.Ended)}, {"until", at(s.Until)}, {"exit", exitText(s.Session)}, {"rule", s.Rule}, {"decision", s.Decision},
		{"from", fromText(s.Session)}, {"channels", channelsText(s)}, {"record", recordText(s)}, {"survivors", survivorsText(s)},
	}...))
}

// differing returns the differences from the signed evidence. They come first, because the other fields show the
// database.
func differing(s apitype.SessionDetail) (out []field) {
	for _, d := range s.Differs {
		out = append(out, field{"DIFFERS", d})
	}
	if s.NotCompared != "" {
		out = append(out, field{"not compared", "with the signed evidence: " + s.NotCompared})
	}
	return out
}

// fromText says from where and by which frontend the session was requested, and if with an API token.
func fromText(s apitype.Session) string {
	by := s.Front
	if by == "cli" {
		by = "command line"
	}
	words := []string{s.Address, by}
	if s.Via == "token" {
		words = append(words, "API token")
	}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), ", ")
}

func exitText(s apitype.Session) string {
	switch {
	case s.ExitStatus != nil:
		return strconv.Itoa(*s.ExitStatus)
	case s.ExitSignal != "":
		return "signal " + s.ExitSignal
	}
	return ""
}

// survivorsText names the device as the source, because the gateway cannot check which processes run there.
func survivorsText(s apitype.SessionDetail) string {
	if len(s.Survivors) == 0 {
		return ""
	}
	return "the device says: " + strings.Join(s.Survivors, "; ")
}

// channelsText says where to read of the channels beyond the first, which is what the rest of the page is about.
func channelsText(s apitype.SessionDetail) string {
	if s.MoreChannels == 0 {
		return ""
	}
	more := "1 more was"
	if s.MoreChannels > 1 {
		more = fmt.Sprintf("%d more were", s.MoreChannels)
	}
	return fmt.Sprintf("1, and %s allowed; `sallyport sessions channels %s` lists those that were opened", more, s.ID)
}

func recordText(s apitype.SessionDetail) string {
	text := fmt.Sprintf("%s, %d bytes typed, %d shown", s.Record, s.BytesIn, s.BytesOut)
	if s.Hidden > 0 {
		text += fmt.Sprintf(", %d sealed stretches", s.Hidden)
	}
	if s.Gaps > 0 {
		text += fmt.Sprintf(", %d gaps", s.Gaps)
	}
	for _, p := range s.Parts {
		text += ", " + p.File
	}
	return text
}

type sessionsEndCmd struct {
	oneSession
	Reason because `short:"r" placeholder:"TEXT" help:"Told to the technician and kept in the log."`
}

func (c *sessionsEndCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	return cl.Post(a.context(), c.path("/end"), apitype.Reason{Reason: string(c.Reason)}, nil)
}

type sessionsReplayCmd struct {
	oneSession
	oneChannel
	Transcript bool    `xor:"form" help:"Output as plain text. This is the default."`
	Input      bool    `xor:"form" help:"What was typed; sealed stretches read [hidden]."`
	Raw        bool    `xor:"form" help:"Play the recorded bytes into your terminal as they are. They can drive it: see above."`
	Speed      float64 `default:"1" placeholder:"N" help:"With --raw, in a terminal: this many times as fast."`
	Idle       float64 `default:"2" placeholder:"S" help:"With --raw, in a terminal: pauses last no longer than S seconds."`
}

func (*sessionsReplayCmd) Help() string {
	return `Recorded output holds escape sequences, and whoever was on the machine chose them. Shown as they are, they can set your
terminal's title, fill its clipboard or imitate a prompt. So a replay is plain text here; the web page plays it in an emulator.
--raw plays it nevertheless, byte for byte, with the two streams apart. Into a file or a pipe it comes at once.

A replay is of one channel. Where the record has more, stderr says so first; stdout has nothing but what the channel
showed.

Exit status: 1 if the record ends early, because it was damaged or because a crash interrupted it. What comes before
that place is shown.`
}

func (c *sessionsReplayCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if err := c.recorded(a, cl); err != nil {
		return err
	}
	if c.Raw && c.Speed <= 0 {
		return usageError("--speed wants a number above 0", "1 is as it happened, 2 twice as fast, 0.5 half as fast.")
	}
	t, err := c.timeline(a, cl)
	if err != nil {
		return err
	}
	c.tellOthers(a, c.oneSession, t)
	if err := c.show(a, cl); err != nil {
		return err
	}
	return c.endsEarly(t)
}

// show writes the channel to stdout, in the form that was asked for.
func (c *sessionsReplayCmd) show(a *app, cl *client.Client) error {
	if c.Raw {
		return c.play(a, cl)
	}
	form := "/transcript"
	if c.Input {
		form = "/input"
	}
	in, err := cl.Stream(a.context(), c.path(form), c.query())
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(&sanitizer{w: a.stdout}, in)
	return cutOff(err)
}

// timeline reads what is known of a record beside its bytes.
func (s oneSession) timeline(a *app, cl *client.Client) (t apitype.Timeline, err error) {
	return t, cl.Get(a.context(), s.path("/timeline"), nil, &t)
}

// endsEarly gives an error if the record ends early. Text and asciicast do not show that they do.
func (s oneSession) endsEarly(t apitype.Timeline) error {
	if t.Cut == "" {
		return nil
	}
	return errkind.New(errkind.Conflict, "the record ends early, so this is not all: "+cell(t.Cut)).
		WithHint("`sallyport sessions verify " + cell(s.Session) + "` says whether it was altered.")
}

// cutOff adds to the error of an answer that ended early that the output is incomplete.
func cutOff(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("what came is not all: %w", err)
}

func (c *sessionsReplayCmd) play(a *app, cl *client.Client) error {
	fmt.Fprintln(a.stderr, "sallyport: these are the recorded bytes, unfiltered; they can drive your terminal. Ctrl-C stops.")
	in, err := cl.Stream(a.context(), c.path("/output"), c.query())
	if err != nil {
		return err
	}
	defer in.Close()
	p := pace{speed: c.Speed, idle: time.Duration(c.Idle * float64(time.Second)), off: !isTerminal(a.stdout)}
	return play(a.context(), in, a.stdout, a.stderr, p)
}
