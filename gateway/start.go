package gateway

import (
	"strings"
	"unicode/utf8"

	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// Hints for a start that a device, or the size of a terminal, does not allow.
const (
	askOwner  = "The pass or the rules of the machine's owner do not allow it; ask them."
	fitWindow = "Make the window smaller, or work without a terminal: `sallyport shell -T`."
	// askPlainly is for a device that accepts less than this gateway, because its agent is older or newer.
	askPlainly = "Set TERM=" + wire.DefaultTerm + " and LANG=" + wire.DefaultLocale + ", without LC_*, and try again."
)

var errSize = errkind.New(errkind.Usage, "a terminal has 1 to 500 columns and 1 to 300 rows").WithHint(fitWindow)

// checkStart refuses a start that no device accepts, and says why: a malformed command, terminal or environment.
func checkStart(s *sessionline.Start) error {
	if err := checkCommand(s.Argv); err != nil {
		return err
	}
	if p := s.PTY; p != nil {
		if !sessionline.Fits(p.Cols, p.Rows) {
			return errSize
		}
		if err := wire.CheckTerm(p.Type()); err != nil {
			return errkind.New(errkind.Usage, err.Error()).WithHint("Set TERM=" + wire.DefaultTerm + " and ask again.")
		}
	}
	if err := wire.CheckLocale(s.Env); err != nil {
		return errkind.New(errkind.Usage, err.Error()).
			WithHint("Set LANG=" + wire.DefaultLocale + ", unset variables that are not listed, and try again.")
	}
	return nil
}

// maxCommand bounds a command line, in bytes.
const maxCommand = 32 << 10

func checkCommand(argv []string) error {
	const hint = "Give the command what is long, or not text, on its standard input."
	all := strings.Join(argv, " ")
	switch {
	case strings.Contains(all, "\x00") || len(sessionline.Quote(argv)) > maxCommand:
		return errkind.New(errkind.Usage, "the command has a zero byte or is longer than 32 KiB").WithHint(hint)
	case !utf8.ValidString(all):
		return errkind.New(errkind.Usage, "the command is not UTF-8, so the record could not hold it as it is").WithHint(hint)
	}
	return nil
}
