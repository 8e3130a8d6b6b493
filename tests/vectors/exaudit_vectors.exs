# Makes exaudit.json: patches as ExAudit's own code makes them, and terms as Erlang writes them. They are the independent witness
# of src/cli/import/external_term.cc and exaudit.cc. Made once, with Elixir 1.14 on OTP 25 and the sources of ex_audit 0.10.0:
#
#   elixir -r EX_AUDIT/lib/diff/diff.ex tests/vectors/exaudit_vectors.exs > tests/vectors/exaudit.json
#
# Each element has the bytes in hex, and the term as Elixir prints it.

# What Ecto gives for a column of type numeric; the library itself is not needed for its shape.
defmodule Decimal do
  defstruct sign: 1, coef: 0, exp: 0
end

# Glific's configuration.
Application.put_env(:ex_audit, :primitive_structs, [DateTime])

defmodule Vectors do
  def contact(number, name) do
    %{
      id: number,
      name: name,
      phone: "91987650000#{number}",
      masked_phone: nil,
      contact_type: "WABA",
      status: :valid,
      bsp_status: :session,
      is_org_read: true,
      optin_time: ~U[2025-10-20 05:30:00Z],
      optout_time: nil,
      first_message_number: 1,
      last_message_number: 0,
      settings: %{},
      fields: %{},
      language_id: 1,
      organization_id: 7,
      inserted_at: ~U[2025-10-20 05:30:00.250000Z],
      updated_at: ~U[2025-10-20 05:30:00.000000Z]
    }
  end

  # As Glific puts a field of a contact, and as the database gives it back.
  def put(value), do: %{value: value, label: "Village", type: "string", inserted_at: ~U[2025-11-01 08:00:00.123456Z]}
  def read(value), do: %{"value" => value, "label" => "Village", "type" => "string", "inserted_at" => "2025-11-01T08:00:00.123456Z"}

  def patch(action, old, new), do: {action, ExAudit.Diff.diff(old, new)}

  def patches do
    created = contact(4, "Deepak Shah")
    village = %{created | fields: %{"village" => put("Satara")}, updated_at: ~U[2025-11-01 08:00:00.130000Z]}
    loaded = %{village | fields: %{"village" => read("Satara")}}
    moved = %{loaded | fields: %{"village" => put("Wai")}, updated_at: ~U[2025-11-02 09:00:00.000000Z]}
    blocked = %{moved | status: :blocked, optout_time: ~U[2025-11-03 10:00:00Z], updated_at: ~U[2025-11-03 10:00:00.000000Z]}
    trigger = %{id: 9, days: [1, 3], frequency: ["weekly"], hours: [], end_date: ~D[2025-12-01], rate: %Decimal{coef: 150, exp: -2}}
    deep = fn value -> %{id: 1, definition: %{"nodes" => [%{"uuid" => "a", "actions" => [value]}, %{"uuid" => "b/c~d"}]}} end

    [
      {"contact created", patch(:created, %{}, created)},
      {"first value of a field", patch(:updated, created, village)},
      {"a field's value again", patch(:updated, loaded, moved)},
      {"contact blocked", patch(:updated, moved, blocked)},
      {"contact deleted", patch(:deleted, blocked, %{})},
      {"trigger created", patch(:created, %{}, trigger)},
      {"lists grow", patch(:updated, trigger, %{trigger | days: [1, 4, 5, 6], frequency: ["daily", "weekly"], hours: [300]})},
      {"lists shrink", patch(:updated, %{trigger | days: [1, 4, 5, 6]}, %{trigger | days: [2]})},
      {"a struct that is not primitive", patch(:updated, trigger, %{trigger | end_date: ~D[2026-01-15], rate: %Decimal{coef: 175, exp: -2}})},
      {"deep inside", patch(:updated, deep.(%{"text" => "Namaste"}), deep.(%{"text" => "नमस्ते"}))},
      {"a member goes", patch(:updated, %{id: 1, settings: %{"a" => 1, "b" => nil}}, %{id: 1, settings: %{"b" => nil}})},
      {"numbers", patch(:updated, %{id: 1, n: 1, m: 1.5, o: nil}, %{id: 1, n: 9_007_199_254_740_993, m: -0.25, o: 12_345_678_901_234_567_890})}
    ]
  end

  def terms do
    [
      nil, true, :valid, :"grüße", 0, 255, 256, -1, 2_147_483_647, -2_147_483_648, 2_147_483_648, -9_223_372_036_854_775_808,
      18_446_744_073_709_551_616, -Bitwise.bsl(1, 2048), 0.0, -1.5, 1.0e308, "", "text", "नमस्ते", <<0, 255>>, [], [1, 2, 255], [1, 256],
      ["a", :b], {}, {:added, nil}, %{}, %{:a => 1, "b" => [%{}]}, %{1 => 2}, ~U[2025-11-01 08:00:00.120000Z],
      ~N[2025-11-01 08:00:00], ~D[2025-11-01], ~T[08:00:00.5], %Decimal{sign: -1, coef: 5, exp: -3}, Enum.to_list(1..300),
      List.to_tuple(Enum.to_list(1..300))
    ]
  end

  def line(members), do: "  {" <> Enum.map_join(members, ", ", fn {key, value} -> "#{quoted(to_string(key))}: #{quoted(value)}" end) <> "}"
  def shown(term), do: inspect(term, limit: :infinity, printable_limit: :infinity, structs: false)

  def quoted(text) do
    "\"" <> (text |> String.replace("\\", "\\\\") |> String.replace("\"", "\\\"") |> String.replace(<<0>>, "\\u0000")) <> "\""
  end

  def hex(binary), do: Base.encode16(binary, case: :lower)
end

patches =
  for {name, {action, patch}} <- Vectors.patches() do
    Vectors.line(name: name, action: to_string(action), patch: Vectors.hex(:erlang.term_to_binary(patch)), term: Vectors.shown(patch))
  end

plain = for term <- Vectors.terms(), do: {:erlang.term_to_binary(term), term}
text = String.duplicate("again and ", 50)
other = [
  {:erlang.term_to_binary(%{a: text}, compressed: 9), %{a: text}},
  {:erlang.term_to_binary(1.5, minor_version: 0), 1.5},
  # Atoms as OTP 26 and newer write them.
  {:erlang.term_to_binary(:"grüße", minor_version: 2), :"grüße"},
  {:erlang.term_to_binary(%{deepak: {:added, nil}}, minor_version: 2), %{deepak: {:added, nil}}},
  {:erlang.term_to_binary(String.to_atom(String.duplicate("é", 200)), minor_version: 2), String.to_atom(String.duplicate("é", 200))}
]
terms = for {bytes, term} <- plain ++ other, do: Vectors.line(bytes: Vectors.hex(bytes), term: Vectors.shown(term))

IO.puts("{\"patches\": [\n" <> Enum.join(patches, ",\n") <> "],\n\"terms\": [\n" <> Enum.join(terms, ",\n") <> "]}")
