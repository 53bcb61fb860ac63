package notifications

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// subject is the first line of a message.
func (e Event) subject() string {
	switch e.Kind {
	case Asked:
		return fmt.Sprintf("%s requests access to %s", e.Requester, e.Device)
	case Granted:
		return fmt.Sprintf("Request granted: %s for %s", e.Device, minutes(e.Minutes))
	case Denied:
		return "Request denied: " + e.Device
	case Expired:
		return "Request expired: " + e.Device
	case Withdrawn:
		return "Grant withdrawn: " + e.Device
	case Emergency:
		return fmt.Sprintf("EMERGENCY: %s uses emergency access to %s", e.Requester, e.Device)
	case Overdue:
		return "Review overdue: emergency access to " + e.Device
	}
	switch e.Kind {
	case Proposed:
		return "Change to confirm: " + e.Device
	case Online:
		return e.Device + " is online"
	}
	return "Test notification"
}

// says is the sentence that a message begins with.
func (e Event) says() string {
	by := strings.Join(e.By, ", ")
	switch e.Kind {
	case Asked:
		return fmt.Sprintf("%s requests access to %s. The request expires at %s.", e.Requester, e.Device, clock(e.Expires))
	case Granted:
		if by == "" {
			return fmt.Sprintf("The request of %s for %s is granted until %s. Its rule needs no approval.", e.Requester, e.Device, clock(e.Until))
		}
		return fmt.Sprintf("The request of %s for %s is granted until %s. Approved by: %s.", e.Requester, e.Device, clock(e.Until), by)
	case Denied:
		return fmt.Sprintf("The request of %s for %s was denied by %s.", e.Requester, e.Device, by)
	case Expired:
		return fmt.Sprintf("The request of %s for %s has expired. Not all approvals were given in time.", e.Requester, e.Device)
	case Withdrawn:
		return fmt.Sprintf("The grant of %s for %s was withdrawn by %s. Sessions that no rule or other grant allows end within a second.", e.Requester, e.Device, by)
	}
	if e.Kind == Emergency {
		return fmt.Sprintf("%s has emergency access to %s until %s. It must be reviewed by %s.", e.Requester, e.Device, clock(e.Until), clock(e.ReviewBy))
	}
	if e.Kind == Overdue {
		return fmt.Sprintf("Nobody has reviewed the emergency access of %s to %s. The review was due by %s.", e.Requester, e.Device, clock(e.ReviewBy))
	}
	if e.Kind == Proposed {
		return fmt.Sprintf("%s proposes a change that gives people more rights: %s. Another administrator has to confirm it.", e.Requester, e.Device)
	}
	if e.Kind == Online {
		return e.Device + " is online. You asked to be told once."
	}
	return fmt.Sprintf("%s sent this message to test the gateway's notifications.", e.Requester)
}

// facts are the lines after that sentence.
func (e Event) facts() (out []string) {
	add := func(name, value string) {
		if value != "" {
			out = append(out, name+": "+value)
		}
	}
	if e.Kind == Test {
		return nil
	}
	add("Answer", e.Answer)
	add("Site", e.Site)
	add("Actions", strings.Join(e.Actions, ", "))
	add("Time", minutes(e.Minutes))
	add("Reason", e.Reason)
	add("Ticket", e.Ticket)
	add("Rule", e.Rule)
	return out
}

// mailText is the body of a mail. Its only link is the one to the page: a mail program must not make another of what
// people typed, because the mail comes from the gateway and readers trust it.
func (e Event) mailText(site string) string {
	var b strings.Builder
	b.WriteString(unlinked(e.says()) + "\n\n")
	for _, f := range e.facts() {
		b.WriteString(unlinked(f) + "\n")
	}
	switch e.Kind {
	case Test:
		b.WriteString(e.Link + "\n")
	case Online:
		b.WriteString("\nThe page of the device:\n" + e.Link + "\n")
	case Proposed:
		b.WriteString("\nThe page of the change:\n" + e.Link + "\n")
	default:
		b.WriteString("\nThe page of the request:\n" + e.Link + "\n")
	}
	b.WriteString("\nPeople wrote the names, reason, ticket and answer. The gateway adds spaces to text that looks like an address.\n-- \n" + site + "\n")
	return b.String()
}

// unlinked breaks addresses in text, so that a mail program makes no link of them: a dot before a letter, an @ and a ://
// get a space.
func unlinked(text string) string {
	return dotted.ReplaceAllString(strings.NewReplacer("://", ": //", "@", " @ ").Replace(text), ". $1")
}

var dotted = regexp.MustCompile(`\.(\pL)`)

// Formats of webhooks.
var Formats = []string{"json", "slack", "teams", "mattermost"}

// document is the body for a webhook of a format.
func (e Event) document(format string) ([]byte, error) {
	switch format {
	case "json":
		return e.marshal(), nil
	case "slack":
		// Slack reads commands between < and >, such as <!channel>. https://api.slack.com/reference/surfaces/formatting
		return json.Marshal(map[string]string{"text": e.chatText(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;"))})
	case "mattermost":
		return json.Marshal(map[string]string{"text": e.chatText(strings.NewReplacer())})
	case "teams":
		return json.Marshal(e.card())
	}
	return nil, fmt.Errorf("%q is not a format of webhooks", format)
}

// chatText is a code block and the link. In a code block neither mentions nor links nor formatting count, and without a
// backtick in its text nothing can end it early.
func (e Event) chatText(escape *strings.Replacer) string {
	all := append([]string{e.subject(), e.says()}, e.facts()...)
	text := strings.ReplaceAll(strings.Join(all, "\n"), "`", "'")
	return "```\n" + escape.Replace(text) + "\n```\n" + e.Link
}

// card is an Adaptive Card, as the workflows of Teams take it. Text runs are not read as Markdown, text blocks would be.
func (e Event) card() any {
	var body []any
	for _, line := range append([]string{e.subject(), e.says()}, e.facts()...) {
		body = append(body, map[string]any{"type": "RichTextBlock", "inlines": []any{map[string]any{"type": "TextRun", "text": line}}})
	}
	return map[string]any{"type": "message", "attachments": []any{map[string]any{
		"contentType": "application/vnd.microsoft.card.adaptive",
		"content": map[string]any{
			"$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
			"type":    "AdaptiveCard",
			"version": "1.4",
			"body":    body,
			"actions": []any{map[string]any{"type": "Action.OpenUrl", "title": "Open the page", "url": e.Link}},
		},
	}}}
}

func minutes(n int) string {
	switch {
	case n == 0:
		return ""
	case n == 1:
		return "1 minute"
	}
	return fmt.Sprintf("%d minutes", n)
}

func clock(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}
