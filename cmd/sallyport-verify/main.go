// Command sallyport-verify checks a session's evidence without the gateway that made it: a bundle, and with --log and
// --recordings a copy of the log and the recordings it names.
//
// It prints what it has proven, one line for each check. Its exit status is 0 if all checks pass. It is 1 if there is
// a fault, which is printed with file, offset and rule. It is 2 for a usage error, or if the copy of the log is older
// than the bundle. It is 3 if there is no fault, but the log was not checked under a key from elsewhere.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport/sallyport/internal/plain"
	"github.com/sallyport/sallyport/recorder/bundle"
	"github.com/sallyport/sallyport/recorder/format"
)

const usage = `sallyport-verify [--log-key KEY] [--root FINGERPRINT] [--identity AGE_KEY]… [--checkpoint FILE]…
                 [--log DIR [--recordings DIR]] [--unpack DIR] [--json] [BUNDLE]

BUNDLE is what "sallyport sessions export" saved, the directory it was unpacked to, or a single recording (.srec).

  --log-key KEY       verifier key of the log, from a source that you trust, or a file with it
  --root FINGERPRINT  fingerprint (SHA256:…, as ssh-keygen -l shows it) of the root key that must have signed
                      BUNDLE's trust bundle, or a file with it. Without it, an attacker can use a root key and
                      session CAs of their own
  --identity AGE_KEY  age identity of a reader or an unsealing officer, or a file with it; may repeat
  --checkpoint FILE   a checkpoint of the log that another party kept; may repeat
  --log DIR           a copy of the log: checks that every session in it has its end, or could still run
  --recordings DIR    the recordings: checks that every end has its file, or was shredded after its time
  --unpack DIR        also unpack BUNDLE into DIR
  --json              one JSON object instead of lines: ok, session, lines (level, rule, text), log_checked, and fault
                      (file, offset, rule, detail, and length if the range of the wrong bytes is known).
                      log_checked: a checkpoint of the log is valid under the given key, even if a fault was
                      found later. ok with log_checked false is exit status 3
  --version           print the version

Exit status:
  0  every check passed
  1  a fault was found
  2  usage error, or the copy of the log is older than the bundle
  3  no fault was found, but the log was not checked: no --log-key was given, or a single recording was checked
     without a copy of the log that has bodies. An attacker could have signed the evidence with keys of their own
`

// seeHelp ends the text of a usage error.
const seeHelp = "Run `sallyport-verify --help` for the options."

const (
	proven = 0
	wrong  = 1
	asked  = 2
	partly = 3 // no fault was found, but the log was not checked
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// request is what the command line asks for.
type request struct {
	path, unpack string
	json         bool
	version      bool
	opt          bundle.Options
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
	q, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)
		return proven
	}
	if err == nil && q.version {
		fmt.Fprintf(out, "sallyport-verify %s %s/%s\n", version(), runtime.GOOS, runtime.GOARCH)
		return proven
	}
	if err != nil {
		fmt.Fprintf(errs, "sallyport-verify: %s\n%s\n", shown(err.Error()), seeHelp)
		return asked
	}
	rep, err := q.check(ctx)
	return answer(q, rep, err, out, errs)
}

func version() string {
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return strings.Trim(b.Main.Version, "()")
	}
	return "devel"
}

type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// parse reads flags before and after BUNDLE.
func parse(args []string) (*request, error) {
	q := &request{}
	var key, root string
	var identities, checkpoints list
	f := flag.NewFlagSet("sallyport-verify", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&key, "log-key", "", "")
	f.StringVar(&root, "root", "", "")
	f.Var(&identities, "identity", "")
	f.Var(&checkpoints, "checkpoint", "")
	f.StringVar(&q.opt.LogDir, "log", "", "")
	f.StringVar(&q.opt.RecordingsDir, "recordings", "", "")
	f.StringVar(&q.unpack, "unpack", "", "")
	f.BoolVar(&q.json, "json", false, "")
	f.BoolVar(&q.version, "version", false, "")
	for rest := args; ; {
		if err := f.Parse(rest); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			break
		}
		if q.path != "" {
			return nil, fmt.Errorf("one BUNDLE at a time, not %q as well", f.Arg(0))
		}
		q.path, rest = f.Arg(0), f.Args()[1:]
	}
	if q.version {
		return q, nil
	}
	if err := q.read(key, root, identities, checkpoints); err != nil {
		return nil, err
	}
	return q, q.complete()
}

func (q *request) complete() error {
	switch {
	case q.path == "" && q.opt.LogDir == "":
		return errors.New("nothing to check: name a BUNDLE, or a copy of the log with --log")
	case q.opt.RecordingsDir != "" && q.opt.LogDir == "":
		return errors.New("--recordings needs --log: recordings are compared with what the log says")
	case q.opt.LogDir != "" && q.opt.LogKey == "":
		return errors.New("--log needs --log-key: a copy is checked under the log's key")
	case q.path == "" && q.opt.Root != "":
		return errors.New("--root needs a BUNDLE: a log names no root")
	case q.path == "" && q.unpack != "":
		return errors.New("--unpack needs a BUNDLE")
	}
	return nil
}

func (q *request) read(key, root string, identities, checkpoints list) error {
	if key != "" {
		text := strings.TrimSpace(textOf(key))
		if _, err := note.NewVerifier(text); err != nil {
			return fmt.Errorf("--log-key: not a verifier key (name+hash+key): %w", err)
		}
		q.opt.LogKey = text
	}
	if root != "" {
		q.opt.Root = strings.TrimSpace(textOf(root))
		if h, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimPrefix(q.opt.Root, "SHA256:")); err != nil || len(h) != 32 || !strings.HasPrefix(q.opt.Root, "SHA256:") {
			return errors.New("--root: not a key's fingerprint (SHA256: and 43 characters)")
		}
	}
	for _, s := range identities {
		ids, err := age.ParseIdentities(strings.NewReader(textOf(s)))
		if err != nil { // the text may be a secret: it is not repeated
			return errors.New("--identity: neither an age identity (AGE-SECRET-KEY-1…) nor a file with one")
		}
		q.opt.Identities = append(q.opt.Identities, ids...)
	}
	for _, path := range checkpoints {
		raw, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("--checkpoint: %w", err)
		}
		q.opt.Checkpoints = append(q.opt.Checkpoints, raw)
	}
	return nil
}

// textOf returns the content of the file s, or s itself if there is no such file.
func textOf(s string) string {
	if raw, err := os.ReadFile(s); err == nil {
		return string(raw)
	}
	return s
}

func (q *request) check(ctx context.Context) (*bundle.Report, error) {
	if q.path == "" {
		return bundle.Verify(ctx, nil, q.opt)
	}
	if bundle.IsRecording(q.path) {
		return bundle.VerifyRecording(ctx, q.path, q.opt)
	}
	src, err := bundle.Open(q.path)
	if err != nil {
		return &bundle.Report{}, err
	}
	defer src.Close()
	if q.unpack != "" {
		if err := src.Unpack(q.unpack); err != nil {
			return &bundle.Report{}, err
		}
	}
	return bundle.Verify(ctx, src, q.opt)
}

type line struct {
	Level string `json:"level"`
	Rule  string `json:"rule"`
	Text  string `json:"text"`
}

type fault struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length,omitempty"`
	Rule   string `json:"rule"`
	Detail string `json:"detail"`
}

type verdict struct {
	OK         bool   `json:"ok"`
	Session    string `json:"session,omitempty"`
	LogChecked bool   `json:"log_checked"`
	Lines      []line `json:"lines"`
	Fault      *fault `json:"fault,omitempty"`
	Error      string `json:"error,omitempty"`
}

// answer writes the verdict. What is no fault is an error: a file that cannot be read, a question that makes no sense.
func answer(q *request, rep *bundle.Report, err error, out, errs io.Writer) int {
	v := verdict{OK: err == nil, LogChecked: rep.LogChecked, Lines: []line{}}
	if !rep.Session.IsZero() {
		v.Session = rep.Session.String()
	}
	for _, l := range rep.Lines {
		v.Lines = append(v.Lines, line(l))
	}
	code := proven
	var f *format.Fault
	switch {
	case errors.As(err, &f):
		v.Fault, code = &fault{f.File, f.Offset, f.Length, f.Rule, f.Detail}, wrong
	case errors.Is(err, os.ErrNotExist), errors.Is(err, bundle.ErrAsked):
		v.Error, code = err.Error(), asked
	case err != nil:
		v.Error, code = err.Error(), wrong
	case !rep.LogChecked:
		code = partly
	}
	if q.json {
		e := json.NewEncoder(plain.JSON(out))
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil { // who reads only the status must not take a lost verdict for a good one
			fmt.Fprintf(errs, "sallyport-verify: the verdict could not be written: %v\n", err)
			return max(code, wrong)
		}
		return code
	}
	return v.print(out, errs, code)
}

func (v *verdict) print(out, errs io.Writer, code int) int {
	for _, l := range v.Lines {
		fmt.Fprintf(out, "%s  %-10s  %s\n", l.Level, l.Rule, shown(l.Text))
	}
	switch {
	case v.Fault != nil:
		f := format.Fault{Offset: v.Fault.Offset, Length: v.Fault.Length}
		fmt.Fprintf(errs, "WRONG: %s, %s: %s: %s\n", shown(v.Fault.File), f.Place(), v.Fault.Rule, shown(v.Fault.Detail))
	case v.Error != "":
		fmt.Fprintf(errs, "sallyport-verify: %s\n", shown(v.Error))
		if code == asked {
			fmt.Fprintln(errs, seeHelp)
		}
	case code == partly:
		fmt.Fprintln(out, "No fault was found, but the log was not checked, so the exit status is 3.")
	default:
		fmt.Fprintln(out, "No fault was found in what was checked.")
	}
	return code
}

// shown keeps what a recording says from steering the terminal of whoever checks it.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if plain.Steers(r) {
			return '?'
		}
		return r
	}, s)
}
