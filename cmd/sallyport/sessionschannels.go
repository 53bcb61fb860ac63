package main

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/sallyport/sallyport/web/apitype"
)

// oneChannel is an option that chooses one channel of a record.
type oneChannel struct {
	Channel *uint32 `placeholder:"N" help:"Of this channel. Default: 1, with which the session began."`
}

// query gives the parameters that choose the channel.
func (c oneChannel) query() url.Values {
	q := url.Values{}
	if c.Channel != nil {
		q.Set("channel", strconv.FormatUint(uint64(*c.Channel), 10))
	}
	return q
}

// number is the channel that is shown.
func (c oneChannel) number() uint32 {
	if c.Channel == nil {
		return 1
	}
	return *c.Channel
}

// mark is what the name of a file of this channel has between the session and the ending.
func (c oneChannel) mark() string {
	if c.number() == 1 {
		return ""
	}
	return fmt.Sprintf("-channel-%d", c.number())
}

// tellOthers says on stderr that the record has channels beside the one that is shown. It never goes to stdout: what a
// program prints must not be able to look like it.
//
// A channel that the record does not have gets no such line: the gateway's refusal names the channels that there are.
func (c oneChannel) tellOthers(a *app, s oneSession, t apitype.Timeline) {
	others := len(t.Channels) - 1
	if others < 1 || !slices.ContainsFunc(t.Channels, func(ch apitype.Channel) bool { return ch.Ch == c.number() }) {
		return
	}
	what := "1 more channel is"
	if others > 1 {
		what = fmt.Sprintf("%d more channels are", others)
	}
	fmt.Fprintf(a.stderr, "sallyport: this is channel %d; %s in the record. `sallyport sessions channels %s` lists them, --channel N shows one.\n",
		c.number(), what, cell(s.Session))
}

type sessionsChannelsCmd struct {
	oneSession
	JSON bool `name:"json" help:"Print a JSON array, by number, for programs."`
}

func (*sessionsChannelsCmd) Help() string {
	return `A session begins with channel 1. More are opened while it runs, for example a command beside a terminal. What is listed
is what the gateway recorded, not what the device says.

Times are seconds since the session began. Looking is an event of the log.`
}

func (c *sessionsChannelsCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if err := c.recorded(a, cl); err != nil {
		return err
	}
	t, err := c.timeline(a, cl)
	if err != nil {
		return err
	}
	return show(a, listing{JSON: c.JSON}, t.Channels, "No channel was opened in this session.",
		"CHANNEL LOGIN TERMINAL BEGAN ENDED STATUS BYTES STARTED", func(ch apitype.Channel) []string {
			return []string{strconv.FormatUint(uint64(ch.Ch), 10), ch.Login, yesNo(ch.Terminal), secondsText(&ch.Began),
				secondsText(ch.Ended), channelEnd(ch), strconv.FormatUint(ch.BytesOut, 10), programText(ch)}
		})
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// secondsText is a time in a session; nil is nothing.
func secondsText(s *float64) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%.1f", *s)
}

// channelEnd says how the program of a channel ended.
func channelEnd(ch apitype.Channel) string {
	switch {
	case ch.Signal != "":
		return "signal " + ch.Signal
	case ch.Status != nil:
		return strconv.Itoa(*ch.Status)
	}
	return ""
}

// programText says what was started. A command is marked as one: a command line can read "a shell".
func programText(ch apitype.Channel) string {
	switch ch.Program {
	case "shell":
		return "a shell"
	case "command":
		return "command: " + ch.Command
	}
	return ""
}
