package sandbox

import "strings"

// integrationKey is a credential in the configuration of FrontDesk's versions, which no client should print.
const integrationKey = "sandbox-crm-key-5f2b9c0e7a41"

// configuration is the part of the document's AgentVersion that users edit.
type configuration struct {
	Voice            voice             `json:"voice"`
	Language         string            `json:"language"`
	Mode             string            `json:"mode"`
	Description      *string           `json:"description"`
	Prompt           string            `json:"prompt"`
	Greeting         string            `json:"greeting"`
	TimeBeforeStart  float64           `json:"time_before_start"`
	VoiceSpeed       float64           `json:"voice_speed"`
	BoostedKeywords  []string          `json:"boosted_keywords"`
	MaxReminders     int               `json:"max_reminder_count"`
	ReminderMS       int               `json:"reminder_frequency_ms"`
	ReminderMessages []string          `json:"reminder_messages"`
	KnowledgeBases   []string          `json:"knowledge_base_ids"`
	Path             *string           `json:"conversational_path_id"`
	Integrations     []integration     `json:"integrations"`
	CallTools        []callTool        `json:"call_tools"`
	Variables        map[string]string `json:"dynamic_variables"`
	BackgroundAudio  *string           `json:"background_audio"`
	Pronunciation    map[string]string `json:"pronunciation_dict"`
}

type voice struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	PreviewURL  string `json:"preview_url"`
}

type integration struct {
	Type   string `json:"type"`
	URL    string `json:"url"`
	APIKey string `json:"api_key"`
}

type callTool struct {
	Type string `json:"type"`
	Name string `json:"name"`
	To   string `json:"to,omitempty"`
}

const prompt = `You are the receptionist of Clínica Rivera, a dental clinic in Madrid.
You speak with patients on the phone. Keep every answer under two sentences.

# What you do
- Tell the opening hours: Monday to Friday, 9:00 to 18:00.
- Offer the next free appointment, and book it after the caller has confirmed it.
- Move or cancel an appointment when the caller gives the name and the date.
- Answer questions about prices from the price list only.

# What you do not do
- Give no medical advice.
- Never say whether somebody else is a patient.

# When you cannot help
- Transfer the call to the front office.
- Outside the opening hours, take a name and a phone number, and promise a call back.

# How you speak
- Address the caller formally.
- Read phone numbers digit by digit.
- Say goodbye with the caller's name: {{caller_name}}.
`

// newConfiguration returns the configuration of FrontDesk's versions up to LiveID, or of those from NextID on, which
// differ in prompt, voice and call_tools.
func newConfiguration(next bool) *configuration {
	c := &configuration{
		Voice:            voice{"voice-lucia", "Lucía", "Warm, from Madrid", "https://voices.example/lucia.mp3"},
		Language:         "es-ES",
		Mode:             "prompt",
		Prompt:           prompt,
		Greeting:         "Clínica Rivera, buenos días. ¿En qué puedo ayudarle?",
		TimeBeforeStart:  0.5,
		VoiceSpeed:       1,
		BoostedKeywords:  []string{"Rivera", "ortodoncia"},
		MaxReminders:     2,
		ReminderMS:       8000,
		ReminderMessages: []string{"¿Sigue ahí?"},
		KnowledgeBases:   []string{"d0000000-0000-4000-8000-000000000001"},
		Integrations:     []integration{{"crm", "https://crm.example/v2", integrationKey}},
		CallTools:        []callTool{{"transfer", "front_office", "+34910000090"}, {"hang_up", "goodbye", ""}},
		Variables:        map[string]string{"caller_name": "", "clinic_phone": "+34910000091"},
		Pronunciation:    map[string]string{"Dra.": "doctora"},
	}
	if next {
		c.Voice = voice{"voice-mateo", "Mateo", "Calm, from Seville", "https://voices.example/mateo.mp3"}
		c.Prompt = strings.NewReplacer(
			"9:00 to 18:00", "8:30 to 20:00",
			"- Give no medical advice.\n", "- Give no medical advice. In an emergency, tell the caller to dial 112.\n",
			"- Address the caller formally.\n", "",
			"- Read phone numbers digit by digit.\n", "- Read phone numbers digit by digit.\n- Spell out e-mail addresses.\n",
		).Replace(prompt)
		c.CallTools = append(c.CallTools, callTool{"sms", "send_confirmation", ""})
	}
	return c
}
