package backup

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/internal/errkind"
)

// Class says how a backup treats a file.
type Class string

// The classes.
const (
	Sealed    Class = "sealed"    // in secrets.age
	Database  Class = "database"  // a snapshot, in database.age
	Recording Class = "recording" // copied as it is: it is sealed, or has no secrets
	Never     Class = "never"     // not in a backup
	Elsewhere Class = "elsewhere" // in the other archive
)

// kept reports whether a backup puts such files into this archive.
func (c Class) kept() bool { return c == Sealed || c == Database || c == Recording }

// Rule says how a backup treats the files whose paths match a pattern. In a pattern * is any text within one name, and
// ** any text of at least one character across names.
type Rule struct {
	Pattern string // of a path relative to the directory, with slashes
	Class   Class
	Why     string // the content of the files, or the reason to leave them out, in words
}

// gatewayRules are for data_dir. The first match applies.
var gatewayRules = []Rule{
	{"keys/*.new", Never, "half-written"},
	{"keys/idp-client.key", Sealed, "secret between the site and the built-in provider"},
	{"keys/noise.key", Sealed, "devices know the gateway by it"},
	{"keys/record.key", Sealed, "signs the close of recordings"},
	{"keys/archive.txt", Sealed, "opens recordings for replay and search"},
	{"tls/*.pem", Sealed, "the authority of [tls] mode \"self\", which devices and command lines trust"},
	{"gateway.db", Database, "rows: people, devices, sessions, tokens, audit index"},
	{"gateway.db-wal", Never, "in the snapshot"},
	{"gateway.db-shm", Never, "in the snapshot"},
	{"gateway.db-journal", Never, "in the snapshot"},
	{"recordings/journal", Never, "bytes of running recordings; they are in their files too"},
	{"recordings/journal.*.kept", Recording, "bytes of a recording that could not be written, already sealed"},
	{"recordings/lock", Never, "empty"},
	{"recordings/settled-before", Never,
		"the day before which a start reads nothing; without it the next start reads everything once"},
	{"recordings/ballast", Never, "space kept aside"},
	{"recordings/**.new", Never, "half-written"},
	{"recordings/**.srec", Recording, "a recording"},
	{"recordings/**.rk.age", Recording, "its key, sealed to readers"},
	{"recordings/**.sk.age", Recording, "its key of hidden input, sealed to unsealers"},
	{"recordings/**.cut", Recording, "says that an interruption is in the log"},
	{"restored.json", Never, "describes the restore of this directory"},
	{"restored.json.new", Never, "half-written"},
	{lastName + "*", Never, "describes the backups of this directory"},
	{tempPrefix + "**", Never, "a snapshot in progress"},
	{restoring + "/**", Never, "a restore that did not finish"},
	{"DEMO", Never, "marks a demo's data"},
}

// signerRules are for the signer's directory.
var signerRules = []Rule{
	{"keys/*.new", Never, "half-written"},
	{"keys/*.key", Sealed,
		"root key, session CA, log key, pseudonyms; the provider's client secret where the signer is apart"},
	{"bundle.json", Sealed, "the trust bundle, whose serial must never fall"},
	{"bundle.json.new", Never, "half-written"},
	{"state/**.new", Never, "half-written"},
	{"state/devices/*.json", Sealed, "admitted devices"},
	{"state/tokens/*.json", Sealed, "hashes of API tokens"},
	{"state/sites/*.json", Sealed, "who owns which site"},
	{"state/requests/*.json", Sealed, "who agreed to which requests, and the grants"},
	{"state/proposals/*.json", Sealed, "changes that wait for a second administrator"},
	{"state/administrators.json", Sealed, "who was seen as an administrator"},
	{"state/mappings.json", Sealed, "mappings of groups in force: without this file, every configured mapping would take effect"},
	{"state/signins/*.json", Never, "sign-ins: a restored signer refuses all earlier ones"},
	{"state/policy*.json", Sealed, "every version of the policy"},
	{"log/**", Never, "restored from [ledger] second_copy, never from a backup"},
	{shortLog + "*/**", Never, "a log that was set aside"},
	{logStaged + "/**", Never, "a log that is being restored from its copy"},
	{"restored.json", Never, "describes the restore of this directory"},
	{"restored.json.new", Never, "half-written"},
	{lastName + "*", Never, "describes the backups of this directory"},
	{restoring + "/**", Never, "a restore that did not finish"},
}

// peopleRules are for the built-in provider.
var peopleRules = []Rule{
	{"users.json", Sealed, "people, with hashes of their passwords and second factors"},
	{"users.json.lock", Never, "empty"},
	{"sessions.json", Never, "sign-ins: restored, they would undo sign-outs"},
	{"keys/*.pem", Sealed, "signs the provider's tokens"},
	{".new-*", Never, "half-written"},
	{"keys/.new-*", Never, "half-written"},
}

const (
	tempPrefix = ".backup-"
	restoring  = ".restoring"
	shortLog   = "log.short-"
	logStaged  = "log.restoring"
)

// rules gives the rules of a place, with the names of its directory.
func (p place) rules() []Rule {
	below := func(dir string, rules []Rule, swap map[Class]Class) []Rule {
		out := make([]Rule, len(rules))
		for i, r := range rules {
			if to, ok := swap[r.Class]; ok {
				r.Class = to
			}
			r.Pattern = path.Join(dir, r.Pattern)
			out[i] = r
		}
		return out
	}
	other := map[Class]Class{Sealed: Elsewhere}
	switch {
	case p.kind == Gateway && p.apart:
		return gatewayRules
	case p.kind == Gateway:
		return append(append(below("signer", signerRules, other), below("idp", peopleRules, other)...), gatewayRules...)
	case p.apart:
		return append(below("idp", peopleRules, nil), signerRules...)
	}
	own := append(below("signer", signerRules, nil), below("idp", peopleRules, nil)...)
	return append(own, below(".", gatewayRules, map[Class]Class{Sealed: Elsewhere, Database: Elsewhere,
		Recording: Elsewhere})...)
}

// classify gives the first rule for a path below a place's directory.
func (p place) classify(name string) (Rule, bool) {
	for _, r := range p.rules() {
		if matches(r.Pattern, name) {
			return r, true
		}
	}
	return Rule{}, false
}

func matches(pattern, name string) bool {
	text := regexp.QuoteMeta(pattern)
	text = strings.ReplaceAll(text, `\*\*`, `.+`)
	text = strings.ReplaceAll(text, `\*`, `[^/]*`)
	re, ok := patterns.Load(pattern)
	if !ok {
		re, _ = patterns.LoadOrStore(pattern, regexp.MustCompile(`^(?s:`+text+`)$`))
	}
	return re.(*regexp.Regexp).MatchString(name)
}

// patterns caches the compiled patterns.
var patterns sync.Map

// found is a file below a place's directory.
type found struct {
	name string // with slashes
	rule Rule
	info fs.FileInfo
}

// leadsTo reports whether files that belong in a backup would be below name, which is a symbolic link.
func (p place) leadsTo(name string, rule Rule) bool {
	return rule.Class != Never && slices.ContainsFunc(p.rules(), func(r Rule) bool {
		return r.Class.kept() && strings.HasPrefix(r.Pattern, name+"/")
	})
}

// irregular is the error for a file that a backup cannot copy. Without it the set would look complete and not be.
func irregular(path string) error {
	return errkind.New(errkind.Usage, path+" belongs in the backup, but is a link or another file that is not regular").
		WithHint("Put the file or directory itself there. To use another disk, mount it there.")
}

// walk calls see for every file of a place that a rule matches, and gives the names of the others.
func (p place) walk(see func(found) error) (unnamed []string, err error) {
	if p.dir, err = filepath.EvalSymlinks(p.dir); err != nil {
		return nil, err
	}
	err = filepath.WalkDir(p.dir, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil // removed meanwhile
			}
			return err
		}
		rel, err := filepath.Rel(p.dir, full)
		if err != nil || d.IsDir() {
			return err
		}
		name := filepath.ToSlash(rel)
		rule, ok := p.classify(name)
		if d.Type()&fs.ModeSymlink != 0 && p.leadsTo(name, rule) || ok && rule.Class.kept() && !d.Type().IsRegular() {
			return irregular(full)
		}
		if !ok {
			unnamed = append(unnamed, name)
			return nil
		}
		info, err := d.Info()
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return see(found{name, rule, info})
	})
	return unnamed, err
}
