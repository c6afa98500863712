package sandbox

import (
	"fmt"
	"strings"
	"time"
)

// The tokens, agents, phone numbers and versions of a new sandbox. Agent ids start with a, version ids with b, and phone
// number ids with c.
//
// FrontDesk's versions 1 to 230 are an hour apart and are called v1.0.0 to v1.0.9, v1.1.0 and so on, except for those
// named below. 230 is its draft; the other agents have none. All of them have a configuration, which changes after LiveID.
// The other agents' versions have the least that the document requires.
const (
	Token       = "sandbox-token-that-may-publish"
	ReadToken   = "sandbox-token-that-may-read"         // Read on Agents and Phones: publishing with it is a 403
	AgentsToken = "sandbox-token-that-may-write-agents" // Write on Agents, no access to Phones

	FrontDesk = "a0000000-0000-4000-8000-000000000001" // LiveID is published on Reception
	NightDesk = "a0000000-0000-4000-8000-000000000002" // three versions, none published
	Support   = "a0000000-0000-4000-8000-000000000003" // three versions, SupportID is published on Hotline

	Reception = "c0000000-0000-4000-8000-000000000001" // FrontDesk, inbound
	Switch    = "c0000000-0000-4000-8000-000000000002" // free
	Callback  = "c0000000-0000-4000-8000-000000000003" // free
	Hotline   = "c0000000-0000-4000-8000-000000000004" // Support, inbound and outbound
	Reserved  = "c0000000-0000-4000-8000-000000000005" // reserved
	Released  = "c0000000-0000-4000-8000-000000000006" // released
	Retired   = "c0000000-0000-4000-8000-000000000007" // finished; has the same number as Switch
	PBX       = "c0000000-0000-4000-8000-000000000008" // imported, free

	ReceptionNumber = "+34910000001"
	SwitchNumber    = "+34910000002"
	CallbackNumber  = "+34910000003"
	HotlineNumber   = "+34910000004"
	ReservedNumber  = "+34910000005"
	ReleasedNumber  = "+34910000006"
	PBXNumber       = "pbx-7@sip.example.com"

	Versions   = 230 // of FrontDesk, three pages of 100
	LiveID     = "b1000000-0000-4000-8000-000000000228"
	LiveName   = "v1.22.7"
	NextID     = "b1000000-0000-4000-8000-000000000229" // the newest version
	NextName   = "v1.22.8"
	DraftID    = "b1000000-0000-4000-8000-000000000230" // the draft, and the newest of all
	DraftName  = "v2.0.0-rc.1"
	OldestID   = "b1000000-0000-4000-8000-000000000001" // on the last page
	OldestName = "v1.0.0"
	SharedName = "stable"                               // of two versions, 200 and 20
	NightID    = "b2000000-0000-4000-8000-000000000003" // the newest version of NightDesk, not a draft
	SupportID  = "b3000000-0000-4000-8000-000000000002" // one of Support is newer, and not a draft
)

// started is when the agents were made.
var started = time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC)

// addFixtures fills an empty sandbox.
func (s *Sandbox) addFixtures() {
	s.change(func(st *State) {
		for id, name := range map[string]string{FrontDesk: "Front desk", NightDesk: "Night desk", Support: "Support"} {
			st.agents[id] = &agent{name: name}
		}
		front := st.agents[FrontDesk]
		old, next := frontConfiguration(false), frontConfiguration(true)
		names := map[int]string{20: SharedName, 200: SharedName, 226: "", 230: DraftName}
		for n := 1; n <= Versions; n++ {
			v := Version{Name: fmt.Sprintf("v1.%d.%d", (n-1)/10, (n-1)%10), Draft: n == 230, Configuration: old}
			if name, ok := names[n]; ok {
				v.Name = name
			}
			if n > 228 {
				v.Configuration = next
			}
			front.add(FrontDesk, v)
		}
		for n := range 3 {
			st.agents[NightDesk].add(NightDesk, Version{Name: fmt.Sprintf("night-%d", n+1)})
			st.agents[Support].add(Support, Version{Name: fmt.Sprintf("support-%d", n+1)})
		}
		front.published, st.agents[Support].published = LiveID, SupportID
		for i, p := range fixturePhones() {
			p.Nickname = orNull(*p.Nickname)
			assigned := started.AddDate(0, 0, i)
			if p.Status != "reserved" {
				p.AssignedAt = &assigned
			}
			if p.Status == "released" || p.Status == "finished" {
				p.ReleasedAt = new(assigned.AddDate(0, 0, 30))
			}
			st.setPhone(p)
		}
		st.bind(Reception, Inbound, FrontDesk, false)
		st.bind(Hotline, Inbound, Support, false)
		st.bind(Hotline, Outbound, Support, false)
	})
}

// fixturePhones returns the phone numbers in the order of their ids.
func fixturePhones() []Phone {
	return []Phone{
		{ID: Reception, Number: ReceptionNumber, Nickname: new("Reception"), RegionCodes: []string{"28"}},
		{ID: Switch, Number: SwitchNumber, Nickname: new("Switch"), RegionCodes: []string{"28"}},
		{ID: Callback, Number: CallbackNumber, Nickname: new("Callback"), Provider: "custom"},
		{ID: Hotline, Number: HotlineNumber, Nickname: new("Hotline"), RegionCodes: []string{"28"}},
		{ID: Reserved, Number: ReservedNumber, Nickname: new(""), Status: "reserved"},
		{ID: Released, Number: ReleasedNumber, Nickname: new("Released"), Status: "released"},
		{ID: Retired, Number: SwitchNumber, Nickname: new("Old switch"), Status: "finished"},
		{ID: PBX, Number: PBXNumber, Nickname: new("Branch office"), Provider: "custom", SIPConfig: map[string]any{"termination_uri": "sip.example.com", "username": "pbx-7"}},
	}
}

// secretVariable is a credential in the configuration of FrontDesk's versions, which no client should print.
const secretVariable = "sandbox-crm-key-5f2b9c0e7a41"

// leastConfiguration is what the document requires of every version.
var leastConfiguration = map[string]any{
	"voice": voice("1", "Alba"), "language": "es", "mode": "free",
}

func voice(digit, name string) map[string]any {
	return map[string]any{
		"id": "e0000000-0000-4000-8000-00000000000" + digit, "name": name, "provider": "elevenlabs", "provider_voice_id": strings.ToLower(name),
		"preview_urls": map[string]string{"es": "https://voices.example/" + strings.ToLower(name) + ".mp3"}, "gender": nil, "is_favourite": false,
	}
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

// frontConfiguration returns the configuration of FrontDesk's versions up to LiveID, or of those from NextID on, which
// differ in prompt, voice and call_tools.
func frontConfiguration(next bool) map[string]any {
	transfer := func(name, number string) map[string]any {
		return map[string]any{"type": "transfer_call", "name": name, "target_number": number, "description": nil, "transfer_type": "transfer"}
	}
	tools := []any{transfer("front_office", "+34910000090"), map[string]any{"type": "hang_up", "name": "goodbye", "description": nil}}
	c := map[string]any{
		"voice": voice("2", "Lucia"), "language": "es", "mode": "free", "prompt": prompt, "call_tools": tools, "description": nil,
		"greeting": "Clínica Rivera, buenos días. ¿En qué puedo ayudarle?", "time_before_start": 0.5, "volume": 50,
		"max_reminder_count": 2, "reminder_frequency_ms": 8000, "reminder_messages": []string{"¿Sigue ahí?"},
		"knowledge_base_ids": []string{"d0000000-0000-4000-8000-000000000001"}, "knowledge_item_ids": []string{}, "conversational_path_id": nil,
		"integrations": []any{map[string]any{
			"integration_id": "f0000000-0000-4000-8000-000000000001", "integration_name": "CRM", "requires_setup": false,
			"tool_ids": []string{"f0000000-0000-4000-8000-000000000002"}, "source_integration_template_id": nil,
		}},
		"dynamic_variables": map[string]string{"caller_name": "", "crm_key": secretVariable}, "background_audio": "office",
		"flows": []any{}, "source_template_id": nil, "voicemail_detection": false, "voicemail_action": "leave_message", "voicemail_message": nil,
		"phone_menu_detection": false, "phone_menu_action": "navigate", "phone_menu_navigation_mode": "goal", "phone_menu_goal": nil,
		"phone_menu_key_sequence": nil,
	}
	if next {
		c["voice"] = voice("3", "Mateo")
		c["call_tools"] = append(tools, transfer("emergency", "112"))
		c["prompt"] = strings.NewReplacer(
			"9:00 to 18:00", "8:30 to 20:00",
			"- Give no medical advice.\n", "- Give no medical advice. In an emergency, tell the caller to dial 112.\n",
			"- Address the caller formally.\n", "",
			"- Read phone numbers digit by digit.\n", "- Read phone numbers digit by digit.\n- Spell out e-mail addresses.\n",
		).Replace(prompt)
	}
	return c
}
