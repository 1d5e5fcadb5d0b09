/** Commands that end in a secret. Separate from `command.ts`, because only a login has any. */
import { Command, MASK } from "./command.ts";

/** A command that stores its secret privately, so that printing the command cannot reveal it. */
export class SecretCommand extends Command {
  readonly #sent: string;
  /** The longest first: a form may be part of another. */
  readonly #forms: readonly string[];

  /** `shown` ends with the mask; `forms` are the forms in which a server may echo the secret, the sent one first. */
  constructor(verb: string, shown: string, forms: readonly [sent: string, ...echoed: string[]]) {
    super(verb, shown);
    this.#sent = forms[0];
    this.#forms = forms.toSorted((one, other) => other.length - one.length);
  }

  override get secret(): boolean {
    return true;
  }

  override get wire(): string {
    return `${this.shown.slice(0, -MASK.length)}${this.#sent}\r\n`;
  }

  /** Masks the whole text if only one form is known. */
  override hide(text: string): string {
    if (this.#forms.length === 1) return MASK;
    return this.#forms.reduce((rest: string, form) => (form.length > 3 ? rest.replaceAll(form, MASK) : rest), text);
  }

  override hideCut(text: string): string {
    let cut = 0;
    for (const form of this.#forms) {
      let length = Math.min(form.length, text.length);
      while (length > 3 && !text.endsWith(form.slice(0, length))) length--;
      if (length > 3) cut = Math.max(cut, length);
    }
    return cut === 0 ? this.hide(text) : this.hide(text.slice(0, -cut)) + MASK;
  }
}
