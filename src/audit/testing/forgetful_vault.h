// A vault that can be told to have erased a person without a trail that says so: it refuses the person and
// does not know the refs any more. It can also be told to be full, and then takes nobody. Everything else
// goes to the real one, its erasing too.
#pragma once

#include <set>
#include <string>

#include "base/mutex.h"
#include "vault/vault.h"

namespace vestige::audit::testing {

class ForgetfulVault final : public vault::Vault {
 public:
  explicit ForgetfulVault(vault::Vault& under) : under_(under) {}

  void erase(const std::string& tenant, const std::string& subject) {
    const auto owner = under_.owner_of(tenant, subject);
    Lock lock(mutex_);
    people_.insert(tenant + "\n" + subject);
    if (owner) refs_.insert(owner->ref);
  }

  void be_full(bool full) {
    Lock lock(mutex_);
    full_ = full;
  }

  Result<vault::Owner> owner_of(std::string_view tenant, std::string_view subject) override {
    {
      Lock lock(mutex_);
      if (full_) return fail(ErrorKind::exhausted, "the vault is full");
      if (people_.contains(std::string(tenant) + "\n" + std::string(subject)))
        return fail(ErrorKind::denied, "this person was erased");
    }
    return under_.owner_of(tenant, subject);
  }
  Result<vault::SubjectView> look_up(std::string_view tenant, std::string_view subject) override {
    return under_.look_up(tenant, subject);
  }
  Result<std::optional<Key>> key_of(const Block16& ref) override {
    {
      Lock lock(mutex_);
      if (refs_.contains(ref)) return std::optional<Key>{};
    }
    return under_.key_of(ref);
  }
  Hash subject_hash(std::string_view tenant, std::string_view subject) const override {
    return under_.subject_hash(tenant, subject);
  }
  void bar(const Hash& subject) override { under_.bar(subject); }
  Result<vault::Erasure> erase(std::string_view tenant, const Hash& subject, std::uint64_t entry) override {
    return under_.erase(tenant, subject, entry);
  }
  std::uint64_t erasures() const override { return under_.erasures(); }
  std::vector<vault::Erasure> erasures_of(std::string_view tenant) const override {
    return under_.erasures_of(tenant);
  }
  Result<vault::SubjectView> reauthorise(std::string_view tenant, std::string_view subject) override {
    return under_.reauthorise(tenant, subject);
  }
  Status sync() override { return under_.sync(); }
  Result<Key> retention_key(vault::RetentionClass retention_class, vault::Month month) override {
    return under_.retention_key(retention_class, month);
  }
  Result<std::optional<Key>> find_retention_key(vault::RetentionClass retention_class,
                                                vault::Month month) override {
    return under_.find_retention_key(retention_class, month);
  }
  Key purpose_key(std::string_view purpose, std::string_view tenant) const override {
    return under_.purpose_key(purpose, tenant);
  }
  Bytes wrap(const Key& key, std::string_view context) override { return under_.wrap(key, context); }
  Result<Key> unwrap(ByteView wrapped, std::string_view context) const override {
    return under_.unwrap(wrapped, context);
  }
  std::optional<vault::KeptKey> kept_key(const Block16& file) const override { return under_.kept_key(file); }
  Status replace_kept_key(const std::optional<Block16>& destroyed,
                          const std::optional<vault::KeptKey>& added) override {
    return under_.replace_kept_key(destroyed, added);
  }
  void settle_kept_key(const Block16& file, std::uint64_t erasures) override {
    under_.settle_kept_key(file, erasures);
  }
  Status retain_kept_keys(std::span<const Block16> files) override { return under_.retain_kept_keys(files); }
  Figures figures() const override { return under_.figures(); }

 private:
  vault::Vault& under_;
  mutable Mutex mutex_;
  bool full_ GUARDED_BY(mutex_) = false;
  std::set<std::string> people_ GUARDED_BY(mutex_);
  std::set<Block16> refs_ GUARDED_BY(mutex_);
};

}  // namespace vestige::audit::testing
