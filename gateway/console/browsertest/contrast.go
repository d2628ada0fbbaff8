package browsertest

// FaintTexts is a JavaScript expression. It lists the visible texts, placeholders among them, whose contrast to
// what is behind them is under 4.5 : 1, the least that WCAG 2.2 (1.4.3) has for
// text of this size. Disabled controls are exempt there, and are here.
const FaintTexts = `(() => {
	const parse = (c) => {
		const [r, g, b, a = 1] = c.match(/[\d.]+/g).map(Number);
		return c.startsWith("rgb") ? { rgb: [r, g, b], a } : null;
	};
	const over = (top, under) => top.rgb.map((v, i) => v * top.a + under[i] * (1 - top.a));
	const luminance = (rgb) => rgb.map((v) => v / 255)
		.map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (node) => {
		const layers = [];
		for (let n = node; n; n = n.parentElement) {
			const c = parse(getComputedStyle(n).backgroundColor);
			layers.push(c);
			if (c.a === 1) break;
		}
		return layers.reduceRight((under, c) => over(c, under), [255, 255, 255]);
	};
	const faint = [];
	const check = (node, style, text) => {
		const color = parse(style.color);
		const ground = behind(node);
		const shown = over({ rgb: color.rgb, a: color.a * Number(style.opacity) }, ground);
		const [high, low] = [luminance(shown), luminance(ground)].sort((a, b) => b - a);
		const ratio = (high + 0.05) / (low + 0.05);
		if (ratio < 4.5) faint.push(ratio.toFixed(2) + " " + node.tagName + "." + node.className + " " + text.slice(0, 40));
	};
	for (const node of document.body.querySelectorAll("*")) {
		if (!node.checkVisibility() || node.disabled || node.tagName === "OPTION") continue;
		const text = [...node.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.data).join("").trim();
		if (text !== "") check(node, getComputedStyle(node), text);
		if (node.placeholder) check(node, getComputedStyle(node, "::placeholder"), node.placeholder);
	}
	return [...new Set(faint)];
})()`
