package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/recorder/bundle"
	"github.com/sallyport/sallyport/web/apitype"
)

type sessionsUnsealCmd struct {
	oneSession
	Identity []string `required:"" type:"path" placeholder:"F" help:"File with your age identity as an unsealing officer; may repeat, with the one that you read records with."`
	Reason   because  `short:"r" placeholder:"TEXT" help:"Why; kept in the log."`
	JSON     bool     `name:"json" help:"Print JSON, for programs."`
}

func (*sessionsUnsealCmd) Help() string {
	return `Shows the input that was typed at hidden prompts, such as passwords, and the input that the device did not
judge. It needs the duty unseal and a person's sign-in; an API token is refused. The log records the request before
anything is sent. The gateway sends the evidence still sealed. It is checked and opened here, and your key never leaves
this computer.

Each line: when, where in what was typed, and the text; control characters as ^X. A line marked [no verdict] may have
been visible: the device did not say in time whether the terminal showed it.`
}

// hiddenLine is one line of the answer for programs.
type hiddenLine struct {
	At        time.Time `json:"at"`
	Part      uint32    `json:"part"`
	Channel   uint32    `json:"ch"`
	Offset    uint64    `json:"offset"`
	Bytes     []byte    `json:"bytes"` // base64
	Text      string    `json:"text"`
	NoVerdict int       `json:"no_verdict"` // bytes of it that the device did not judge in time
}

// mark tells a line typed at a hidden prompt from one that is sealed because no verdict came for it, or for some of it.
func (l hiddenLine) mark() string {
	switch l.NoVerdict {
	case 0:
		return ""
	case len(l.Bytes):
		return "[no verdict] "
	}
	return fmt.Sprintf("[no verdict on %d of %d bytes] ", l.NoVerdict, len(l.Bytes))
}

func (c *sessionsUnsealCmd) Run(a *app) error {
	ids, err := readIdentities(c.Identity)
	if err != nil {
		return err
	}
	path, err := c.fetch(a)
	if path != "" {
		defer os.Remove(path)
	}
	if err != nil {
		return err
	}
	lines, err := unsealed(a, path, ids)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.json(lines)
	}
	for _, l := range lines {
		fmt.Fprintf(a.stdout, "%s  %d+%d  %s%s\n", l.At.UTC().Format("2006-01-02 15:04:05.000"), l.Channel, l.Offset,
			l.mark(), l.Text)
	}
	if len(lines) == 0 {
		fmt.Fprintln(a.stderr, "Nothing in this record stayed sealed.")
	}
	return nil
}

// readIdentities reads age identities. Their text is secret and is not repeated in errors.
func readIdentities(files []string) ([]age.Identity, error) {
	var out []age.Identity
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return nil, usageError("--identity: "+err.Error(), "")
		}
		ids, err := age.ParseIdentities(f)
		f.Close()
		if err != nil {
			return nil, usageError("--identity: "+path+" is no age identity file", "`age-keygen -o FILE` makes one; its public key must be among the gateway's unsealers.")
		}
		out = append(out, ids...)
	}
	return out, nil
}

// fetch saves the evidence, which is still sealed, in a file of its own.
func (c *sessionsUnsealCmd) fetch(a *app) (string, error) {
	cl, err := a.client()
	if err == nil {
		err = c.recorded(a, cl)
	}
	if err != nil {
		return "", err
	}
	in, err := cl.PostStream(a.context(), c.path("/unseal"), apitype.Reason{Reason: string(c.Reason)})
	if err != nil {
		return "", err
	}
	defer in.Close()
	f, err := os.CreateTemp("", "sallyport-unseal-*")
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return f.Name(), err
	}
	return f.Name(), saveFile(f.Name(), in)
}

// unsealed checks the evidence with the keys, and opens what is sealed.
func unsealed(a *app, path string, ids []age.Identity) ([]hiddenLine, error) {
	src, err := bundle.Open(path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	lines := []hiddenLine{}
	err = src.Unseal(a.context(), ids, func(h bundle.Hidden) error {
		lines = append(lines, hiddenLine{h.At, h.Part, h.Ch, h.Offset, h.Text, caret(h.Text), h.NoVerdict})
		return nil
	})
	switch {
	case errors.Is(err, bundle.ErrNotReader):
		return nil, errkind.New(errkind.Denied, "none of your identities can read this record").
			WithHint("The sealed input is inside it. Name your reading identity as well: --identity may repeat.")
	case errors.Is(err, bundle.ErrNotUnsealer):
		return nil, errkind.New(errkind.Denied, "none of your identities can unseal this record").
			WithHint("The unsealing officers whom the gateway's configuration named when it was recorded can open it.")
	case err != nil:
		return nil, err
	}
	if _, err := bundle.Verify(a.context(), src, bundle.Options{Identities: ids}); err != nil {
		return nil, fmt.Errorf("this record is not whole, so what is in it proves nothing: %w", err)
	}
	return lines, nil
}

// caret shows typed bytes: control characters as ^X, as the timeline does.
func caret(p []byte) string {
	var b strings.Builder
	for _, r := range string(p) {
		switch {
		case r < ' ':
			b.WriteByte('^')
			b.WriteRune(r + '@')
		case r == 0x7f:
			b.WriteString("^?")
		default:
			if r = safeRune(r); r >= 0 {
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}
