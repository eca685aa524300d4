import { expect, it } from 'vitest';
import { link, list, patched } from './url.ts';

it('a change touches only what it names', () => {
  expect(patched('?range=7d&sort=-clicks', { sort: 'name' })).toBe('range=7d&sort=name');
  expect(patched('?range=7d&q=abc', { q: '' })).toBe('range=7d');
  expect(patched('', { q: 'a&b=c d' })).toBe('q=a%26b%3Dc+d');
});

it('links carry their parameters', () => {
  expect(link('/events', { type: 'click', id: null })).toBe('/events?type=click');
  expect(link('/events')).toBe('/events');
  expect(list('a,,b')).toEqual(['a', 'b']);
  expect(list(null)).toEqual([]);
});
